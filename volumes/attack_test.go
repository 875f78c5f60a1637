package volumes_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/volumes"
)

// A container swaps a folder and a link to the outside as fast as it can,
// while the folder is mounted again and again, and deleted in the end.
func TestSubPathUnderAttack(t *testing.T) {
	// Memory is quick enough for many mounts; on disk the deletion is under
	// attack too.
	times := 2000
	if testing.Short() {
		times = 100
	}
	t.Run("memory", func(t *testing.T) { underAttack(t, inMemory("a", ""), times) })
	t.Run("disk", func(t *testing.T) { underAttack(t, emptyDir("a"), 100) })
}

func underAttack(t *testing.T, vol corev1.Volume, times int) {
	v, dir := start(t)
	outside := filepath.Join(filepath.Dir(dir), "outside")
	canary := filepath.Join(outside, "target/canary")
	must(t, os.MkdirAll(filepath.Dir(canary), 0o755))
	must(t, os.WriteFile(canary, []byte("alive"), 0o600))
	before := stat(t, filepath.Dir(canary))
	p := web([]corev1.Volume{vol}, corev1.VolumeMount{Name: "a", MountPath: "/a", SubPath: "dir/target/made"})
	must(t, v.Prepare(t.Context(), uid, p))
	inside := filepath.Join(dir, string(uid), "volumes/a")
	must(t, os.MkdirAll(filepath.Join(inside, "dir/target"), 0o755))
	must(t, os.Symlink(outside, filepath.Join(inside, "link")))
	swaps, stop := attack(t, filepath.Join(inside, "dir"), filepath.Join(inside, "link"))
	mounted, refused := 0, 0
	for deadline := time.Now().Add(3 * time.Minute); mounted < times && time.Now().Before(deadline); {
		seen := swaps.Load()
		ms, err := v.Mounts(t.Context(), uid, p, "app")
		if err == nil {
			mounted++
			checkInside(t, ms[0].Source, canary)
			must(t, unix.Unmount(ms[0].Source, unix.MNT_DETACH))
			continue
		}
		refused++
		for swaps.Load() == seen && time.Now().Before(deadline) {
			runtime.Gosched()
		}
	}
	if mounted < times || refused == 0 || swaps.Load() < int64(times) {
		t.Errorf("%d mounted, %d refused, %d swaps: the race was not run", mounted, refused, swaps.Load())
	}
	t.Logf("%d mounted, %d refused, %d swaps", mounted, refused, swaps.Load())
	removeUnderAttack(t, v, stop)
	if data, err := os.ReadFile(canary); err != nil || string(data) != "alive" {
		t.Errorf("canary: %q, %v", data, err)
	}
	if after := stat(t, filepath.Dir(canary)); after.Mode != before.Mode || after.Mtim != before.Mtim {
		t.Error("the folder of the canary was changed")
	}
}

// attack exchanges a folder and a link until stop is called.
func attack(t *testing.T, folder, link string) (swaps *atomic.Int64, stop func()) {
	swaps = &atomic.Int64{}
	var halt atomic.Bool
	var group sync.WaitGroup
	group.Go(func() {
		for !halt.Load() {
			err := unix.Renameat2(unix.AT_FDCWD, folder, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			if err == nil {
				swaps.Add(1)
			}
		}
	})
	stop = func() { halt.Store(true); group.Wait() }
	t.Cleanup(stop)
	return swaps, stop
}

// checkInside fails if what is mounted belongs to the outside.
func checkInside(t *testing.T, source, canary string) {
	t.Helper()
	got := stat(t, source)
	for _, path := range []string{filepath.Dir(canary), filepath.Dir(filepath.Dir(canary)), "/"} {
		if st := stat(t, path); st.Dev == got.Dev && st.Ino == got.Ino {
			t.Fatalf("%s was mounted", path)
		}
	}
	if _, err := os.Lstat(filepath.Join(source, "canary")); err == nil {
		t.Fatal("the canary is in what was mounted")
	}
}

// removeUnderAttack deletes while the attack goes on, then after it.
func removeUnderAttack(t *testing.T, v *volumes.Volumes, stop func()) {
	t.Helper()
	_ = v.Remove(t.Context(), uid)
	stop()
	must(t, v.Remove(t.Context(), uid))
}

// clearAway deletes what somebody keeps swapping.
func clearAway(t *testing.T, paths ...string) {
	t.Helper()
	eventually(t, func() error {
		var failed []error
		for _, p := range paths {
			failed = append(failed, os.RemoveAll(p))
		}
		for _, p := range paths {
			if _, err := os.Lstat(p); err == nil {
				failed = append(failed, fs.ErrExist)
			}
		}
		return errors.Join(failed...)
	})
}

func eventually(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for err := try(); err != nil; err = try() {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}

// A container waits for the folder that podstead makes, to put a link to the
// outside in its place before its mode is set.
func TestMakingAFolderUnderAttack(t *testing.T) {
	v, dir := start(t)
	outside := filepath.Join(filepath.Dir(dir), "outside")
	must(t, os.Mkdir(outside, 0o700))
	p := web([]corev1.Volume{inMemory("a", "")}, corev1.VolumeMount{Name: "a", MountPath: "/a", SubPath: "made"})
	must(t, v.Prepare(t.Context(), uid, p))
	inside := filepath.Join(dir, string(uid), "volumes/a")
	made, link := filepath.Join(inside, "made"), filepath.Join(inside, "link")
	swaps, _ := attack(t, made, link)
	for range 500 {
		clearAway(t, made, link)
		must(t, os.Symlink(outside, link))
		if ms, err := v.Mounts(t.Context(), uid, p, "app"); err == nil {
			checkInside(t, ms[0].Source, filepath.Join(outside, "canary"))
			must(t, unix.Unmount(ms[0].Source, unix.MNT_DETACH))
		}
		if st := stat(t, outside); st.Mode&0o7777 != 0o700 {
			t.Fatalf("the mode of a folder outside became %o", st.Mode&0o7777)
		}
	}
	t.Logf("%d swaps", swaps.Load())
}
