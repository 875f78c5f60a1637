package mounts_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/mounts"
)

// place returns a folder in which nothing stays mounted.
func place(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	t.Cleanup(func() {
		if err := mounts.Unmount(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tmpfs(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, unix.Mount("test", dir, "tmpfs", 0, ""))
}

func TestBelowIsInOrderOfUnmounting(t *testing.T) {
	dir := place(t)
	a, deep, beside := filepath.Join(dir, "a"), filepath.Join(dir, "a/b/c"), filepath.Join(dir, "a-beside")
	for _, d := range []string{a, deep, deep, beside} {
		tmpfs(t, d)
	}
	got, err := mounts.Below(a)
	if want := []string{deep, deep, a}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Below = %q, %v, want %q", got, err, want)
	}
	must(t, mounts.Unmount(a))
	if got, err := mounts.Below(dir); err != nil || !slices.Equal(got, []string{beside}) {
		t.Errorf("left mounted: %q, %v, want what is beside only", got, err)
	}
}

func TestBelowThroughALink(t *testing.T) {
	dir := place(t)
	tmpfs(t, filepath.Join(dir, "real/a"))
	must(t, os.Symlink("real", filepath.Join(dir, "link")))
	if got, err := mounts.Below(filepath.Join(dir, "link/a")); err != nil || len(got) != 1 {
		t.Errorf("Below = %q, %v, want one mount", got, err)
	}
	for _, bad := range []string{"/", "relative", ""} {
		if _, err := mounts.Below(bad); err == nil {
			t.Errorf("Below(%q) was answered", bad)
		}
	}
}

func TestBusyMountIsReportedNotDetached(t *testing.T) {
	dir := place(t)
	busy, other := filepath.Join(dir, "pod/busy"), filepath.Join(dir, "pod/other")
	tmpfs(t, busy)
	tmpfs(t, other)
	f, err := os.Create(filepath.Join(busy, "file"))
	must(t, err)
	err = mounts.RemoveAll(t.Context(), filepath.Join(dir, "pod"))
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), busy) {
		t.Errorf("RemoveAll = %v, want EBUSY and the mount's path", err)
	}
	if got, _ := mounts.Below(dir); !slices.Equal(got, []string{busy}) {
		t.Errorf("still mounted: %q, want the busy one only", got)
	}
	must(t, f.Close())
	must(t, mounts.RemoveAll(t.Context(), filepath.Join(dir, "pod")))
}

func TestRemoveAllDoesNotFollowLinks(t *testing.T) {
	dir := place(t)
	canary := filepath.Join(dir, "outside/canary")
	must(t, os.MkdirAll(filepath.Dir(canary), 0o755))
	must(t, os.WriteFile(canary, []byte("alive"), 0o600))
	pod := filepath.Join(dir, "pod")
	must(t, os.MkdirAll(filepath.Join(pod, "volumes/a"), 0o755))
	must(t, os.Symlink(filepath.Dir(canary), filepath.Join(pod, "volumes/a/link")))
	must(t, os.Symlink("..", filepath.Join(pod, "up")))
	must(t, mounts.RemoveAll(t.Context(), pod))
	must(t, os.Symlink(filepath.Dir(canary), pod))
	must(t, mounts.RemoveAll(t.Context(), pod))
	if _, err := os.Lstat(pod); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
	if _, err := os.Stat(canary); err != nil {
		t.Errorf("canary: %v", err)
	}
	must(t, mounts.RemoveAll(t.Context(), pod))
}

func TestRemoveAllOfManyAndOfDeepFolders(t *testing.T) {
	fast := place(t)
	tmpfs(t, fast)
	dir := filepath.Join(fast, "pod")
	must(t, os.MkdirAll(dir, 0o755))
	for i := range 3000 {
		must(t, os.WriteFile(filepath.Join(dir, strings.Repeat("x", i%50)+string(rune(0x4e00+i))), nil, 0o600))
	}
	// Deeper than a path may be long and than folders are kept open.
	fd, err := unix.Open(dir, unix.O_DIRECTORY, 0)
	must(t, err)
	for range 3000 {
		must(t, unix.Mkdirat(fd, "deep", 0o700))
		next, err := unix.Openat(fd, "deep", unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(fd))
		fd = next
	}
	must(t, unix.Close(fd))
	limitFiles(t, 200)
	must(t, mounts.RemoveAll(t.Context(), dir))
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
}

// limitFiles bounds the descriptors of this process for one test.
func limitFiles(t *testing.T, n uint64) {
	t.Helper()
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: old.Max}))
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &old) })
}

func TestRemoveAllStopsWithItsContext(t *testing.T) {
	dir := filepath.Join(place(t), "pod")
	must(t, os.MkdirAll(filepath.Join(dir, "a"), 0o755))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := mounts.RemoveAll(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("RemoveAll = %v, want cancelled", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "a")); err != nil {
		t.Error("it deleted all the same")
	}
}

// Somebody swaps folders and links to the outside while they are deleted.
func TestRemoveAllUnderAttack(t *testing.T) {
	dir := place(t)
	tmpfs(t, dir)
	outside, pod := filepath.Join(dir, "outside"), filepath.Join(dir, "pod")
	canary := filepath.Join(outside, "canary")
	must(t, os.Mkdir(outside, 0o755))
	must(t, os.WriteFile(canary, nil, 0o600))
	var stop atomic.Bool
	var group sync.WaitGroup
	group.Go(func() {
		for !stop.Load() {
			_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(pod, "a"), unix.AT_FDCWD, filepath.Join(pod, "b"), unix.RENAME_EXCHANGE)
		}
	})
	defer group.Wait()
	defer stop.Store(true)
	for range 2000 {
		must(t, os.MkdirAll(filepath.Join(pod, "a/below"), 0o755))
		must(t, os.Symlink(outside, filepath.Join(pod, "b")))
		_ = mounts.RemoveAll(t.Context(), pod)
		if _, err := os.Lstat(canary); err != nil {
			t.Fatalf("canary: %v", err)
		}
		for deadline := time.Now().Add(30 * time.Second); os.RemoveAll(pod) != nil; {
			if time.Now().After(deadline) {
				t.Fatal("what was swapped could not be deleted")
			}
		}
	}
}
