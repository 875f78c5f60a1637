package cgroups

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestListAndRemoveWhateverTier(t *testing.T) {
	m := host(t)
	pods := map[types.UID]*corev1.Pod{
		"g": podOf(nil, container("a", nil, list("1", "64Mi"))),
		"b": podOf(nil, container("a", list("1", ""), nil)),
		"e": podOf(nil, container("a", nil, nil)),
	}
	for uid, p := range pods {
		if err := m.Prepare(t.Context(), uid, p); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := m.List(t.Context()); err != nil || !slices.Equal(got, []types.UID{"b", "e", "g"}) {
		t.Errorf("List = %q, %v, want b, e, g", got, err)
	}
	if err := m.RemoveRoot(t.Context()); err == nil {
		t.Error("the root was removed with pods in it")
	}
	for uid, p := range pods {
		// Twice: what is gone is no error.
		if err := errors.Join(m.Remove(t.Context(), uid), m.Remove(t.Context(), uid)); err != nil {
			t.Error(err)
		}
		if found := left(m, m.Path(uid, p)); len(found) > 0 {
			t.Errorf("left of pod %s: %q", uid, found)
		}
	}
}

func TestRemoveStaysInOurTree(t *testing.T) {
	m := host(t)
	if err := m.Prepare(t.Context(), "one", podOf(nil, container("a", nil, nil))); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(m.layout.all[0], m.cfg.Root, "foreign")
	if err := os.Mkdir(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(foreign)
	for _, uid := range []types.UID{"", ".", "..", "/../foreign", "x/../../foreign", "../" + "foreign"} {
		if err := m.Remove(t.Context(), uid); err == nil && uid != "." {
			t.Errorf("Remove(%q) was carried out", uid)
		}
	}
	if err := m.Remove(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if !exists(foreign) {
		t.Error("a cgroup that is not a pod's was removed")
	}
}

func TestRemoveEndsProcesses(t *testing.T) {
	p := podOf(nil, container("a", nil, nil))
	for name, prepare := range map[string]func(t *testing.T, m *Manager, c *exec.Cmd, say func(string)){
		"sleeping": func(*testing.T, *Manager, *exec.Cmd, func(string)) {},
		"stopped": func(t *testing.T, _ *Manager, c *exec.Cmd, _ func(string)) {
			if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		},
		"frozen": func(t *testing.T, m *Manager, _ *exec.Cmd, _ func(string)) {
			mount, ok := m.layout.v1[ctlFreezer]
			if !ok {
				t.Skip("no freezer")
			}
			if err := writeFile(filepath.Join(mount, m.Path("one", p), "id"), "freezer.state", "FROZEN"); err != nil {
				t.Fatal(err)
			}
		},
		"forking": func(t *testing.T, m *Manager, _ *exec.Cmd, say func(string)) {
			say("\n")
			eventually(t, "it forks", func() bool { pids, _ := m.pids(m.Path("one", p)); return len(pids) > 100 })
		},
	} {
		for _, without := range []string{"", "without v2"} {
			t.Run(name+without, func(t *testing.T) {
				m := host(t)
				m.cfg.MaxPIDs = 200
				if err := m.Prepare(t.Context(), "one", p); err != nil {
					t.Fatal(err)
				}
				at := m.Path("one", p)
				c, say, _ := runIn(t, m, at+"/id", "fork")
				prepare(t, m, c, say)
				if without != "" {
					withoutUnified(t, m, at)
				}
				start := time.Now()
				if err := m.Remove(t.Context(), "one"); err != nil {
					t.Fatal(err)
				}
				if found := left(m, at); len(found) > 0 {
					t.Errorf("left: %q", found)
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("took %v", took)
				}
				if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
					t.Errorf("process ended with %v, want killed", err)
				}
			})
		}
	}
}

// withoutUnified makes a hybrid host look like one of pure v1 and gives the
// v2 part of the tree back at the end.
func withoutUnified(t *testing.T, m *Manager, at string) {
	t.Helper()
	if m.layout.mode != Hybrid {
		t.Skip("not a hybrid host")
	}
	whole := m.layout
	m.layout.mode, m.layout.unified = V1, ""
	m.layout.all = slices.DeleteFunc(slices.Clone(whole.all), func(d string) bool { return d == whole.unified })
	t.Cleanup(func() {
		m.layout = whole
		if err := removeTree(context.Background(), filepath.Join(whole.unified, at)); err != nil {
			t.Error(err)
		}
	})
}
