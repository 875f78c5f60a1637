package guest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/podstead/podstead/internal/filelock"
)

func TestThirdGuestWaitsForASlot(t *testing.T) {
	t.Setenv(cacheEnv, t.TempDir())
	first, free, err := takeSlot()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(first, "left"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := takeSlot(); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		third, _, err := takeSlot()
		if err != nil {
			t.Error(err)
		}
		got <- third
	}()
	select {
	case dir := <-got:
		t.Fatalf("a third guest got the slot %s", dir)
	case <-time.After(time.Second):
	}
	free()
	if third := <-got; third != first {
		t.Errorf("the third guest got %s, want %s", third, first)
	}
	if left, err := os.ReadDir(first); err != nil || len(left) > 0 {
		t.Errorf("the slot has %v, %v, want what the guest before left to be gone", left, err)
	}
}

func TestImagesThatNobodyUsesAreRemoved(t *testing.T) {
	cache := t.TempDir()
	old := time.Now().Add(-2 * unused)
	for _, name := range []string{"trixie-old", "trixie-used", "trixie-new", "trixie-mine"} {
		if err := os.Mkdir(filepath.Join(cache, name), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(cache, name+".lock")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name != "trixie-new" {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	unlock, err := filelock.Take(filepath.Join(cache, "trixie-used.lock"), 1 /* LOCK_SH */)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := removeUnused(cache, filepath.Join(cache, "trixie-mine")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"trixie-old": false, "trixie-used": true, "trixie-new": true, "trixie-mine": true} {
		if _, err := os.Stat(filepath.Join(cache, name)); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", name, err, want)
		}
	}
}
