package volumes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// deepen makes a chain of folders below dir, each with a second folder and a
// file of one page in that, without needing more of a path than a name.
func deepen(t *testing.T, dir string, depth int) {
	t.Helper()
	at, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer func() { unix.Close(at) }()
	for range depth {
		for _, name := range []string{"a", "a/side", "z"} {
			must(t, unix.Mkdirat(at, name, 0o700))
		}
		fd, err := unix.Openat(at, "a/side/file", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		must(t, err)
		_, err = unix.Write(fd, make([]byte, 4096))
		must(t, err)
		unix.Close(fd)
		next, err := unix.Openat(at, "z", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		unix.Close(at)
		at = next
	}
}

func TestUsageOfDeeplyNestedFolders(t *testing.T) {
	v, _ := start(t)
	p := web([]corev1.Volume{emptyDir("d"), emptyDir("flat")}, corev1.VolumeMount{Name: "d", MountPath: "/d"})
	must(t, v.Prepare(t.Context(), uid, p))
	ms, err := v.Mounts(t.Context(), uid, p, "app")
	must(t, err)
	const depth = 2000
	deepen(t, ms[0].Source, depth)

	// It works with far fewer open files than there are levels.
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(len(open)) + 100, Max: before.Max}))
	defer func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) }()

	got, err := v.Usage(t.Context(), uid)
	must(t, err)
	// Each level has a page for the file; folders may take some themselves.
	if n := got["d"]; n < depth*4096 || n > depth*4*4096+1<<20 {
		t.Errorf("%d levels take %d bytes", depth, n)
	}
	after, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	if len(after) != len(open) {
		t.Errorf("%d files are open, %d before", len(after), len(open))
	}
}

func TestUsageOfFlatFolders(t *testing.T) {
	v, _ := start(t)
	p := web([]corev1.Volume{emptyDir("d")}, corev1.VolumeMount{Name: "d", MountPath: "/d"})
	must(t, v.Prepare(t.Context(), uid, p))
	ms, err := v.Mounts(t.Context(), uid, p, "app")
	must(t, err)
	const folders = 3000 // more than are read at once
	for i := range folders {
		dir := filepath.Join(ms[0].Source, fmt.Sprint(i))
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "file"), make([]byte, 4096), 0o600))
	}
	got, err := v.Usage(t.Context(), uid)
	must(t, err)
	if n := got["d"]; n < folders*4096 || n > folders*2*4096+1<<20 {
		t.Errorf("%d folders with a page each take %d bytes", folders, n)
	}
}
