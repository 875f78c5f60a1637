package containerd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of so many MiB for one test.
func smallDisk(t *testing.T, mebibytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("reserve", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mebibytes)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// flood takes all room of a disk, and what is given back, until stop.
func flood(t *testing.T, dir string) (stop func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "flood"))
	if err != nil {
		t.Fatal(err)
	}
	full, ended := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	for writer := range 2 {
		group.Go(func() {
			told := false
			for piece := make([]byte, 64<<10); ; {
				n, err := f.Write(piece)
				if !told && writer == 0 && n == 0 && errors.Is(err, unix.ENOSPC) {
					told = true
					close(full)
				}
				select {
				case <-ended:
					return
				default:
				}
			}
		})
	}
	<-full
	return func() {
		close(ended)
		group.Wait()
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			t.Error(err)
		}
	}
}

// database makes a file of which the first half was written.
func database(t *testing.T, path string) *os.File {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(make([]byte, 128<<10)); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(256 << 10); err != nil {
		t.Fatal(err)
	}
	return f
}

// What is released reaches the databases and not the flood.
func TestTheReserveIsForDatabases(t *testing.T) {
	root := smallDisk(t, 32)
	r := NewReserve(root)
	if err := r.Keep(); err != nil {
		t.Fatal(err)
	}
	databases := []*os.File{database(t, filepath.Join(root, "a", "meta.db")), database(t, filepath.Join(root, "b", "metadata.db"))}
	stop := flood(t, root)
	for _, f := range databases {
		if _, err := f.WriteAt(make([]byte, 4096), 200<<10); !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("write on a full disk: %v, want no space", err)
		}
	}
	// containerd writes a while after it was asked to, and is asked a few times.
	var failed error
	for range 4 {
		if !r.Release() {
			t.Fatal("there is no reserve")
		}
		time.Sleep(20 * time.Millisecond)
		failed = nil
		for _, f := range databases {
			_, err := f.WriteAt(make([]byte, 128<<10), 128<<10)
			failed = errors.Join(failed, err)
		}
		if failed == nil {
			break
		}
	}
	if failed != nil {
		t.Errorf("after the release: %v", failed)
	}
	for n := 1; r.Release(); n++ {
		if n > reserveSize/reservePart {
			t.Fatal("the reserve does not come to its end")
		}
	}
	// On a full disk it is not made again, with room it is.
	if err := r.Keep(); err != nil || r.Release() {
		t.Errorf("%v, and there is a reserve on a full disk", err)
	}
	stop()
	if err := r.Keep(); err != nil || !r.Release() {
		t.Errorf("%v, and with room there is no reserve", err)
	}
}

func TestTheReserveTakesNoLastRoom(t *testing.T) {
	root := smallDisk(t, 3*reserveSize>>20-1)
	r := NewReserve(root)
	if err := r.Keep(); err != nil || r.Release() {
		t.Errorf("%v, and there is a reserve on a disk that is little larger", err)
	}
}

func TestALogThatGrowsIsPutAside(t *testing.T) {
	dir := t.TempDir()
	s := NewServer(Config{LogFile: filepath.Join(dir, "log")})
	if err := s.BoundLog(); err != nil {
		t.Errorf("without a log: %v", err)
	}
	for size, want := range map[int]int64{maxLogSize: maxLogSize, maxLogSize + 1: 0} {
		if err := os.WriteFile(s.cfg.LogFile, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.BoundLog(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(s.cfg.LogFile); err != nil || info.Size() != want {
			t.Errorf("a log of %d bytes became %v, %v, want %d", size, info, err, want)
		}
	}
	if info, err := os.Stat(s.cfg.LogFile + ".1"); err != nil || info.Size() != maxLogSize+1 {
		t.Errorf("put aside: %v, %v", info, err)
	}
}
