package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
)

func TestExperimentFull(t *testing.T) {
	for _, c := range []struct {
		name, dir string
		size      int
		under     string
	}{
		{"state", "state", 64, "state/containerd"},
		{"containerd", "state/containerd", 96, ""},
		{"logs", "log", 32, ""},
		{"run", "run", 32, ""},
		{"manifests", "manifests", 32, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := harness.New(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 1m}\n"})
			fs := h.Mount(c.dir, c.size, 0)
			if c.under != "" {
				h.Mount(c.under, 200, 0)
			}
			h.AddWitnessImage(image)
			h.Start()
			h.Eventually(patience, func() error {
				if l := h.Leaks()["lease"]; len(l) > 0 {
					return fmt.Errorf("%v", l)
				}
				return nil
			})
			t.Logf("available %d KiB", fs.Available()>>10)
			steady := newSubject(t, h, "steady", witness("app"))
			goes := newSubject(t, h, "goes", witness("app"))
			loops := newSubject(t, h, "loops", witness("app", "-exit-after", "500ms"))
			edited := newSubject(t, h, "edited", witness("app"))
			later := newSubject(t, h, "later", witness("app"))
			later2 := newSubject(t, h, "later2", witness("app"))
			for _, s := range []*subject{steady, goes, loops, edited} {
				s.write("1")
			}
			steady.waitGeneration("app", "1")
			goes.waitGeneration("app", "1")
			edited.waitGeneration("app", "1")
			loops.waitLives("app", 3)
			// manifests to come lie elsewhere
			for _, s := range []*subject{later, later2} {
				if c.name != "manifests" {
					continue
				}
				if err := os.WriteFile(filepath.Join(h.Manifests, "."+s.file()), []byte(s.yaml("1")), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			fs.Fill()
			t.Logf("full: available %d", fs.Available())
			loopsBefore := len(loops.lives("app"))
			begun := time.Now()
			if c.name != "manifests" {
				later.write("1")
				edited.write("2")
			}
			h.Remove(goes.file())
			try := func(what string, within time.Duration, cond func() error) {
				from := time.Now()
				var err error
				for time.Since(from) < within {
					if err = cond(); err == nil {
						t.Logf("%s: OK after %s", what, time.Since(from).Round(time.Millisecond))
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
				t.Errorf("%s: %v", what, err)
			}
			gone := func(s *subject) func() error {
				return func() error {
					for _, p := range h.Pods() {
						if p.Name == s.Name {
							return fmt.Errorf("%s is there: %s", s.Name, p.Status.Phase)
						}
					}
					return nil
				}
			}
			try("goes gone", 30*time.Second, gone(goes))
			time.Sleep(10 * time.Second)
			t.Logf("loops had %d runs in %s", len(loops.lives("app"))-loopsBefore, time.Since(begun))
			out, _ := h.CLI("get", "pods")
			t.Logf("\n%s", out)
			out, _ = h.CLI("status")
			t.Logf("\n%s", out)
			out, _ = h.CLI("describe", "pod", "later")
			t.Logf("\n%s", out)
			out, _ = h.CLI("events")
			t.Logf("\n%s", out)
			h.Kill9()
			h.SignalContainerd(syscall.SIGKILL)
			h.StartWithoutWaiting()
			try("ready", 30*time.Second, func() error {
				if len(h.Bin) == 0 {
					return nil
				}
				return h.Ready()
			})
			h.Remove(edited.file())
			try("edited gone", 30*time.Second, gone(edited))
			if n := len(steady.lives("app")); n != 1 {
				t.Errorf("steady has %d runs", n)
			}
			if c.name != "manifests" {
				later2.write("1")
			}
			time.Sleep(5 * time.Second)
			fs.Empty()
			if c.name == "manifests" {
				for _, s := range []*subject{later, later2} {
					os.Rename(filepath.Join(h.Manifests, "."+s.file()), filepath.Join(h.Manifests, s.file()))
				}
			}
			for _, s := range []*subject{later, later2} {
				try(s.Name+" runs", 40*time.Second, func() error {
					if l := s.lives("app"); len(l) == 0 {
						return fmt.Errorf("no run")
					}
					return nil
				})
			}
			corrupt, _ := filepath.Glob(filepath.Join(h.Dir, "*", "*corrupt*"))
			t.Logf("corrupt: %v", corrupt)
			h.Eventually(patience, func() error { return nil })
		})
	}
}
