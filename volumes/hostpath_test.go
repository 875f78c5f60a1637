package volumes_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

func TestHostPathTypes(t *testing.T) {
	v, dir := start(t)
	host := filepath.Join(filepath.Dir(dir), "host")
	must(t, os.MkdirAll(filepath.Join(host, "dir"), 0o755))
	must(t, os.WriteFile(filepath.Join(host, "file"), nil, 0o644))
	must(t, os.Symlink("dir", filepath.Join(host, "link-to-dir")))
	must(t, os.Symlink("nothing", filepath.Join(host, "link-to-nothing")))
	must(t, unix.Mkfifo(filepath.Join(host, "pipe"), 0o644))
	l, err := net.Listen("unix", filepath.Join(host, "socket"))
	must(t, err)
	defer l.Close()
	const ok = ""
	for _, tc := range []struct {
		path string
		t    corev1.HostPathType
		want string
	}{
		{"dir", corev1.HostPathDirectory, ok},
		{"link-to-dir", corev1.HostPathDirectory, ok},
		{"file", corev1.HostPathFile, ok},
		{"socket", corev1.HostPathSocket, ok},
		{"/dev/null", corev1.HostPathCharDev, ok},
		{"pipe", corev1.HostPathUnset, ok},
		{"missing", corev1.HostPathDirectory, "found nothing there, want a directory"},
		{"missing", corev1.HostPathFile, "found nothing there, want a file"},
		{"missing", corev1.HostPathSocket, "found nothing there, want a socket"},
		{"link-to-nothing", corev1.HostPathDirectory, "found nothing there"},
		{"file", corev1.HostPathDirectory, "is a file, want a directory"},
		{"file", corev1.HostPathDirectoryOrCreate, "is a file, want a directory"},
		{"dir", corev1.HostPathFile, "is a directory, want a file"},
		{"dir", corev1.HostPathFileOrCreate, "is a directory, want a file"},
		{"file", corev1.HostPathSocket, "is a file, want a socket"},
		{"pipe", corev1.HostPathFile, "is a named pipe, want a file"},
		{"/dev/null", corev1.HostPathBlockDev, "is a character device, want a block device"},
		{"file/below", corev1.HostPathDirectoryOrCreate, "not a directory"},
		{"dir", "Folder", `not "Folder"`},
	} {
		path := tc.path
		if !filepath.IsAbs(path) {
			path = filepath.Join(host, path)
		}
		err := v.Prepare(t.Context(), uid, web([]corev1.Volume{hostPath("data", path, tc.t)}))
		if tc.want == ok {
			if err != nil {
				t.Errorf("%s as %q: %v", tc.path, tc.t, err)
			}
			continue
		}
		var refused *pod.Refused
		if !errors.As(err, &refused) || refused.Reason != "FailedMount" {
			t.Errorf("%s as %q: %v, want it refused with FailedMount", tc.path, tc.t, err)
			continue
		}
		for _, part := range []string{tc.want, `volume "data"`, path} {
			if !strings.Contains(refused.Message, part) {
				t.Errorf("%s as %q: %q does not name %q", tc.path, tc.t, refused.Message, part)
			}
		}
	}
	if _, err := os.Lstat(filepath.Join(host, "missing")); err == nil {
		t.Error("a refused hostPath was made")
	}
}

func TestHostPathIsMade(t *testing.T) {
	v, dir := start(t)
	host := filepath.Join(filepath.Dir(dir), "host")
	must(t, os.Mkdir(host, 0o755))
	p := web([]corev1.Volume{
		hostPath("a", filepath.Join(host, "a/b/c"), corev1.HostPathDirectoryOrCreate),
		hostPath("f", filepath.Join(host, "f"), corev1.HostPathFileOrCreate),
		hostPath("u", filepath.Join(host, "u"), corev1.HostPathUnset),
	})
	for range 2 {
		must(t, v.Prepare(t.Context(), uid, p))
	}
	got := map[string]uint32{}
	for _, name := range []string{"a", "a/b", "a/b/c", "f", "u"} {
		got[name] = stat(t, filepath.Join(host, name)).Mode
	}
	want := map[string]uint32{
		"a": unix.S_IFDIR | 0o755, "a/b": unix.S_IFDIR | 0o755, "a/b/c": unix.S_IFDIR | 0o755,
		"f": unix.S_IFREG | 0o644, "u": unix.S_IFDIR | 0o755,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
	err := v.Prepare(t.Context(), uid, web([]corev1.Volume{hostPath("f", filepath.Join(host, "no/such/f"), corev1.HostPathFileOrCreate)}))
	if refused := (*pod.Refused)(nil); !errors.As(err, &refused) {
		t.Errorf("FileOrCreate without its folder: %v, want it refused", err)
	}
}
