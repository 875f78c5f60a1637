package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestHistoryComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	want := map[string]int{"default/web": 3}
	if err := NewHistory(path).Save(want, 1); err != nil {
		t.Fatal(err)
	}
	got, err := NewHistory(path).Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestSameHistoryIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := NewHistory(path).Save(map[string]int{"a": 1}, 1); err != nil {
		t.Fatal(err)
	}
	h := NewHistory(path)
	if _, err := h.Load(); err != nil {
		t.Fatal(err)
	}
	before := inode(t, path)
	for _, step := range []struct {
		value map[string]int
		same  bool
	}{{map[string]int{"a": 1}, true}, {map[string]int{"a": 2}, false}} {
		if err := h.Save(step.value, 1); err != nil {
			t.Fatal(err)
		}
		if same := os.SameFile(before, inode(t, path)); same != step.same {
			t.Errorf("Save(%v) left the file: %t, want %t", step.value, same, step.same)
		}
	}
}

func inode(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestDamagedHistoryIsPutAside(t *testing.T) {
	damaged := func(change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			if err := errors.Join(err, os.WriteFile(path, change(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, damage := range map[string]func(t *testing.T, path string){
		"cut":       damaged(func(b []byte) []byte { return b[:len(b)/2] }),
		"empty":     damaged(func([]byte) []byte { return nil }),
		"flipped":   damaged(func(b []byte) []byte { return []byte(strings.Replace(string(b), "3", "4", 1)) }),
		"garbage":   damaged(func([]byte) []byte { return []byte("\x00\x01") }),
		"directory": func(_ *testing.T, path string) { _ = os.Remove(path); _ = os.Mkdir(path, 0o700) },
		"FIFO":      func(_ *testing.T, path string) { _ = os.Remove(path); _ = unix.Mkfifo(path, 0o600) },
		"link":      func(_ *testing.T, path string) { _ = os.Rename(path, path+".x"); _ = os.Symlink(path+".x", path) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history")
			if err := NewHistory(path).Save(map[string]int{"aaa": 33333}, 1); err != nil {
				t.Fatal(err)
			}
			damage(t, path)
			h := NewHistory(path)
			got, err := h.Load()
			if len(got) != 0 || err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, %v, want nothing and an error that names the file", got, err)
			}
			if aside, _ := filepath.Glob(path + ".corrupt-*"); len(aside) != 1 {
				t.Errorf("the damaged file was not put aside: %v", aside)
			}
			if err := h.Save(map[string]int{"b": 1}, 1); err != nil {
				t.Errorf("the history can't be begun anew: %v", err)
			}
		})
	}
}

func TestNodeID(t *testing.T) {
	dir := t.TempDir()
	machine := filepath.Join(dir, "machine-id")
	if err := os.WriteFile(machine, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	id := func() string {
		t.Helper()
		got, _, err := NodeID(dir, machine)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := id()
	if err := os.Remove(filepath.Join(dir, "node-id")); err != nil {
		t.Fatal(err)
	}
	if again := id(); again != first {
		t.Errorf("a lost file made %s of %s", again, first)
	}
	if err := os.Remove(machine); err != nil {
		t.Fatal(err)
	}
	if again := id(); again != first {
		t.Errorf("the file was not believed: %s, want %s", again, first)
	}
	if err := os.Remove(filepath.Join(dir, "node-id")); err != nil {
		t.Fatal(err)
	}
	random := id()
	if random == first || random != id() {
		t.Errorf("without a machine's id got %s, want a new one that stays", random)
	}
}

// TestLateSaveTakesNothingBack: the newest one counts, in whatever order they
// come, and what it has no more is gone.
func TestLateSaveTakesNothingBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	h := NewHistory(path)
	for _, step := range []struct {
		version int
		numbers map[string]int
	}{{1, map[string]int{"a": 1, "old": 4}}, {3, map[string]int{"a": 2, "b": 1}}, {2, map[string]int{"a": 1, "old": 4}}} {
		if err := h.Save(step.numbers, step.version); err != nil {
			t.Fatal(err)
		}
	}
	got, err := NewHistory(path).Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a": 2, "b": 1}, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}
