package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/leaks"
)

// TestF23_Zombies: children that a container's first process never waits for
// go when it does, whoever its pod's first process is.
func TestF23_Zombies(t *testing.T) {
	const number = 300
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared=%t", shared), func(t *testing.T) {
			t.Parallel()
			h := newHost(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 1m}\n"})
			before := h.Settled()
			s := newSubject(t, h, "careless", witness("app", "-zombies", fmt.Sprint(number)))
			s.Spec.ShareProcessNamespace = &shared
			p := s.run("1")
			first := slices.Min(processes(t, containerCgroup(h, p, "app")))
			h.Eventually(patience, func() error {
				if n := zombiesOf(t, first); n < number {
					return fmt.Errorf("%d zombies, want %d", n, number)
				}
				return nil
			})
			// Its place is taken by another run with as many.
			if _, err := h.CLI("restart", "pod", s.Name); err != nil {
				t.Fatal(err)
			}
			s.waitLives("app", 2)
			h.Eventually(patience, func() error {
				if n := zombiesOf(t, first); n > 0 {
					return fmt.Errorf("%d zombies of the run before are left", n)
				}
				return nil
			})
			s.remove()
			nothingLeft(h, before)
		})
	}
}

// zombiesOf counts the dead children of a process.
func zombiesOf(t *testing.T, parent int) (n int) {
	t.Helper()
	all, err := leaks.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Parent == parent && strings.HasPrefix(p.State, "Z") {
			n++
		}
	}
	return n
}
