package nspin_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/nspin"
)

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func TestPinAndUnpin(t *testing.T) {
	root(t)
	for _, kind := range []nspin.Kind{nspin.Net, nspin.IPC, nspin.UTS} {
		t.Run(kind.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sub", "pin")
			home := inode(t, "/proc/self/ns/"+kind.String())
			t.Cleanup(func() { _ = nspin.Unpin(path) })
			if ok, err := nspin.Pinned(kind, path); ok || err != nil {
				t.Fatalf("before: Pinned = %v, %v", ok, err)
			}
			if err := nspin.Pin(map[nspin.Kind]string{kind: path}, nil); err != nil {
				t.Fatal(err)
			}
			if ok, err := nspin.Pinned(kind, path); !ok || err != nil {
				t.Errorf("Pinned = %v, %v, want true", ok, err)
			}
			other := map[nspin.Kind]nspin.Kind{nspin.Net: nspin.IPC, nspin.IPC: nspin.UTS, nspin.UTS: nspin.Net}[kind]
			if ok, _ := nspin.Pinned(other, path); ok {
				t.Errorf("it counts as pinned %s too", other)
			}
			if inode(t, path) == home {
				t.Error("the host's namespace was pinned")
			}
			for range 2 {
				if err := nspin.Unpin(path); err != nil {
					t.Errorf("Unpin: %v", err)
				}
			}
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("left at the path: %v", err)
			}
		})
	}
}

func TestPinNamespacesTogether(t *testing.T) {
	root(t)
	dir := t.TempDir()
	paths := map[nspin.Kind]string{nspin.IPC: filepath.Join(dir, "ipc"), nspin.UTS: filepath.Join(dir, "uts")}
	t.Cleanup(func() {
		for _, p := range paths {
			_ = nspin.Unpin(p)
		}
	})
	refused := errors.New("no")
	if err := nspin.Pin(paths, func() error { return refused }); !errors.Is(err, refused) {
		t.Errorf("Pin = %v, want the error of inside", err)
	}
	for kind, p := range paths {
		if ok, _ := nspin.Pinned(kind, p); ok {
			t.Errorf("%s stayed pinned after an error", kind)
		}
	}
	var uts uint64
	err := nspin.Pin(paths, func() error { uts = inode(t, "/proc/thread-self/ns/uts"); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if uts != inode(t, paths[nspin.UTS]) {
		t.Error("inside did not run in the namespace that was pinned")
	}
}

func TestOrdinaryFileIsNotPinned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if ok, err := nspin.Pinned(nspin.Net, path); ok || err != nil {
		t.Errorf("Pinned = %v, %v, want false", ok, err)
	}
}

// No goroutine of the program may ever find itself in a pod's namespace.
func TestOtherThreadsStayOutside(t *testing.T) {
	root(t)
	dir := t.TempDir()
	home := inode(t, "/proc/self/ns/net")
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			path := filepath.Join(dir, string(rune('A'+i)))
			if err := nspin.Pin(map[nspin.Kind]string{nspin.Net: path}, nil); err != nil {
				t.Error(err)
			}
			runtime.Gosched()
			if inode(t, "/proc/thread-self/ns/net") != home {
				t.Error("a goroutine is in a namespace that was made for a pod")
			}
			if err := nspin.Unpin(path); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if inode(t, "/proc/self/ns/net") != home {
		t.Error("the program's first thread is in a namespace that was made for a pod")
	}
}
