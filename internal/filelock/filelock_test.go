package filelock

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOneAloneHasALock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Own(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(path, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("a second one: %v, want EWOULDBLOCK", err)
	}
	unlock()
	again, err := Take(path, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		t.Fatalf("after it was given back: %v", err)
	}
	again()
}

// A lock that outlives its process by a moment keeps no successor from it; one
// that stays does.
func TestALockThatIsAboutToEndIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Own(path)
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(inherited/4, unlock)
	defer late.Stop()
	next, err := Own(path)
	if err != nil {
		t.Fatalf("a lock that was about to end: %v", err)
	}
	defer next()
	if _, err := Own(path); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("one that stays: %v, want EWOULDBLOCK", err)
	}
}
