package sandbox_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/mounts"
	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/sandbox"
)

var first = pod.Instance{Key: pod.Key{Namespace: "default", Name: "web"}, Number: 1}

func web() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
}

// folder returns a run directory, a tmpfs as /run is, in which nothing stays
// mounted.
func folder(t *testing.T) string {
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
	if err := unix.Mount("run", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	return dir
}

// begin is when the sandboxes of the tests are made.
var begin = pod.Stamp{Moment: 42, Wall: time.Unix(1_700_000_000, 0).UTC()}

func open(t *testing.T, dir, boot string) *sandbox.Sandboxes {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{RunDir: dir, BootID: boot, Now: func() pod.Stamp { return begin }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func prepare(t *testing.T, s *sandbox.Sandboxes, p *corev1.Pod, net pod.Attachment) pod.Sandbox {
	t.Helper()
	b, err := s.Prepare(t.Context(), first, "uid-1", p, net)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Ready || len(b.ID) != 16 {
		t.Fatalf("made %+v, want it ready and with an id of 16 digits", b)
	}
	return b
}

func only(t *testing.T, s *sandbox.Sandboxes) pod.Sandbox {
	t.Helper()
	list, err := s.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("List = %+v, %v, want one", list, err)
	}
	return list[0]
}

func TestPrepareFindsWhatIsMade(t *testing.T) {
	dir := folder(t)
	made := prepare(t, open(t, dir, "boot"), web(), pod.Attachment{})
	// A new daemon finds the same.
	s := open(t, dir, "boot")
	if diff := cmp.Diff(made, only(t, s)); diff != "" {
		t.Errorf("listed (-made +listed):\n%s", diff)
	}
	if diff := cmp.Diff(made, prepare(t, s, web(), pod.Attachment{})); diff != "" {
		t.Errorf("prepared again (-first +second):\n%s", diff)
	}
	if err := errors.Join(s.Remove(t.Context(), "uid-1"), s.Remove(t.Context(), "uid-1")); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v, want nothing left", list, err)
	}
	if left, _ := mounts.Below(filepath.Join(dir, "pods")); len(left) != 0 {
		t.Errorf("still mounted: %q", left)
	}
}

func TestNamespacesAndFolders(t *testing.T) {
	b := prepare(t, open(t, folder(t), "boot"), web(), pod.Attachment{})
	if got := hostnameIn(t, b.UTSNS); got != "web" || b.Hostname != "web" {
		t.Errorf("host name in the namespace %q, told %q, want web", got, b.Hostname)
	}
	if ok, _ := nspin.Pinned(nspin.IPC, b.IPCNS); !ok {
		t.Error("the IPC namespace is not pinned")
	}
	for dir, want := range map[string]struct {
		bytes uint64
		mode  uint32
		flags int64
	}{
		b.ShmDir:   {64 << 20, 0o1777, unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC},
		b.FilesDir: {1 << 20, 0o755, unix.ST_NOSUID | unix.ST_NODEV},
	} {
		var fsys unix.Statfs_t
		var st unix.Stat_t
		if err := errors.Join(unix.Statfs(dir, &fsys), unix.Stat(dir, &st)); err != nil {
			t.Fatal(err)
		}
		if got := fsys.Blocks * uint64(fsys.Bsize); got != want.bytes {
			t.Errorf("%s holds %d bytes, want %d", dir, got, want.bytes)
		}
		if st.Mode&0o7777 != want.mode {
			t.Errorf("%s has mode %o, want %o", dir, st.Mode&0o7777, want.mode)
		}
		if fsys.Flags&want.flags != want.flags {
			t.Errorf("%s has flags %#x, want %#x", dir, fsys.Flags, want.flags)
		}
	}
}

// hostnameIn asks the host name in a pinned UTS namespace.
func hostnameIn(t *testing.T, path string) string {
	t.Helper()
	name, done := "", make(chan error)
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open(path)
		if err == nil {
			err = errors.Join(unix.Setns(int(ns.Fd()), unix.CLONE_NEWUTS), ns.Close())
		}
		if err == nil {
			name, err = os.Hostname()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return name
}

func TestHostNamespaces(t *testing.T) {
	p := web()
	p.Spec.HostIPC, p.Spec.HostNetwork = true, true
	b := prepare(t, open(t, folder(t), "boot"), p, pod.Attachment{IPs: []string{"192.0.2.1"}})
	host, _ := os.Hostname()
	if b.IPCNS != "" || b.ShmDir != "" || b.UTSNS != "" || b.NetNS != "" || b.Hostname != host {
		t.Errorf("%+v, want no namespaces and the name %q of the host", b, host)
	}
	if b.FilesDir == "" || !cmp.Equal(b.IPs, []string{"192.0.2.1"}) {
		t.Errorf("%+v, want files and the host's address", b)
	}
}

func TestRefusesNoOneElsesFolder(t *testing.T) {
	s := open(t, folder(t), "boot")
	for _, uid := range []types.UID{"", ".", "..", "a/b", "../x"} {
		if err := s.Remove(t.Context(), uid); err == nil {
			t.Errorf("Remove(%q) was carried out", uid)
		}
		if _, err := s.Prepare(t.Context(), first, uid, web(), pod.Attachment{}); err == nil {
			t.Errorf("Prepare(%q) was carried out", uid)
		}
	}
}

// Each case breaks a sandbox that was whole; it must be seen and mended.
func TestWhatIsNotWholeIsMadeAnew(t *testing.T) {
	for name, spoil := range map[string]func(dir string, b pod.Sandbox) error{
		"no record": func(dir string, _ pod.Sandbox) error { return os.Remove(filepath.Join(dir, "sandbox.json")) },
		"empty record": func(dir string, _ pod.Sandbox) error {
			return os.WriteFile(filepath.Join(dir, "sandbox.json"), nil, 0o600)
		},
		"nonsense": func(dir string, _ pod.Sandbox) error {
			return os.WriteFile(filepath.Join(dir, "sandbox.json"), []byte("{]"), 0o600)
		},
		"IPC unmounted": func(_ string, b pod.Sandbox) error { return unix.Unmount(b.IPCNS, 0) },
		"UTS pin gone":  func(_ string, b pod.Sandbox) error { return nspin.Unpin(b.UTSNS) },
		"network replaced": func(dir string, b pod.Sandbox) error {
			// Containers keep the namespace that the pin is taken from.
			keep := filepath.Join(dir, "keep")
			err := errors.Join(os.WriteFile(keep, nil, 0o600), unix.Mount(b.NetNS, keep, "", unix.MS_BIND, ""))
			return errors.Join(err, nspin.Unpin(b.NetNS), nspin.Pin(map[nspin.Kind]string{nspin.Net: b.NetNS}, nil))
		},
		"shm unmounted":   func(_ string, b pod.Sandbox) error { return unix.Unmount(b.ShmDir, 0) },
		"files unmounted": func(_ string, b pod.Sandbox) error { return unix.Unmount(b.FilesDir, 0) },
		"folder gone": func(_ string, b pod.Sandbox) error {
			return errors.Join(unix.Unmount(b.FilesDir, 0), os.Remove(b.FilesDir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			run := folder(t)
			s := open(t, run, "boot")
			net := pod.Attachment{NetNS: filepath.Join(run, "net")}
			if err := nspin.Pin(map[nspin.Kind]string{nspin.Net: net.NetNS}, nil); err != nil {
				t.Fatal(err)
			}
			before := prepare(t, s, web(), net)
			if err := spoil(filepath.Join(run, "pods/uid-1"), before); err != nil {
				t.Fatal(err)
			}
			if b := only(t, s); b.Ready || b.UID != "uid-1" {
				t.Errorf("listed as %+v, want it not ready and with its UID", b)
			}
			after := prepare(t, s, web(), net)
			if after.ID == before.ID {
				t.Error("what was made anew has the old id")
			}
			if b := only(t, s); !b.Ready {
				t.Errorf("after mending %+v, want it ready", b)
			}
		})
	}
}

func TestAnotherBootIsNotReady(t *testing.T) {
	dir := folder(t)
	before := prepare(t, open(t, dir, "boot-1"), web(), pod.Attachment{})
	s := open(t, dir, "boot-2")
	if b := only(t, s); b.Ready || b.Instance != first {
		t.Errorf("listed as %+v, want instance %v, not ready", b, first)
	}
	if after := prepare(t, s, web(), pod.Attachment{}); after.ID == before.ID {
		t.Error("the sandbox of another boot was taken over")
	}
}

func TestUnreadableIsAnErrorNotAbsent(t *testing.T) {
	dir := folder(t)
	s := open(t, dir, "boot")
	prepare(t, s, web(), pod.Attachment{})
	record := filepath.Join(dir, "pods/uid-1/sandbox.json")
	// A folder in its place can't be read, even by root.
	if err := errors.Join(os.Remove(record), os.Mkdir(record, 0o755)); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(t.Context()); err == nil {
		t.Errorf("List = %+v, want an error", list)
	}
}

func TestRemoveReportsWhatIsBusy(t *testing.T) {
	s := open(t, folder(t), "boot")
	b := prepare(t, s, web(), pod.Attachment{})
	f, err := os.Create(filepath.Join(b.ShmDir, "held"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), "uid-1"); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), b.ShmDir) {
		t.Errorf("Remove = %v, want EBUSY with the path", err)
	}
	if half := only(t, s); half.Ready {
		t.Error("a half-removed sandbox is ready")
	}
	_ = f.Close()
	if err := s.Remove(context.Background(), "uid-1"); err != nil {
		t.Error(err)
	}
}
