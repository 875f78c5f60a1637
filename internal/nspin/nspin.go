// Package nspin makes kernel namespaces that no process keeps alive: each is
// held by a bind mount of its nsfs file ("pinned"), so that it can be joined
// by path and outlives whoever made it.
package nspin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Kind is a kind of namespace. Its value is the clone flag.
type Kind int

// The kinds that can be pinned.
const (
	Net Kind = unix.CLONE_NEWNET
	IPC Kind = unix.CLONE_NEWIPC
	UTS Kind = unix.CLONE_NEWUTS
)

// String returns the name that the kernel uses below /proc/PID/ns.
func (k Kind) String() string {
	switch k {
	case Net:
		return "net"
	case IPC:
		return "ipc"
	case UTS:
		return "uts"
	default:
		return fmt.Sprintf("Kind(%#x)", int(k))
	}
}

// Pin makes one new namespace of each kind in paths and pins it at its path;
// parent directories are made with mode 0755. inside, if not nil, runs on a
// thread that is in all the new namespaces, before any of them is pinned, so
// that a pinned namespace is a finished one; it must not start goroutines. On
// an error nothing stays pinned. The paths must not be pinned yet.
func Pin(paths map[Kind]string, inside func() error) error {
	err := onOwnThread(func() error { return pinHere(paths, inside) })
	if err == nil {
		return nil
	}
	for _, path := range paths {
		err = errors.Join(err, Unpin(path))
	}
	return err
}

func pinHere(paths map[Kind]string, inside func() error) error {
	flags := 0
	for kind := range paths {
		flags |= int(kind)
	}
	if err := unix.Unshare(flags); err != nil {
		return fmt.Errorf("unshare namespaces: %w", err)
	}
	if inside != nil {
		if err := inside(); err != nil {
			return err
		}
	}
	for kind, path := range paths {
		if err := bind(kind, path); err != nil {
			return fmt.Errorf("pin %s namespace at %s: %w", kind, path, err)
		}
	}
	return nil
}

func bind(kind Kind, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY|unix.O_NOFOLLOW, 0o444)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return unix.Mount("/proc/thread-self/ns/"+kind.String(), path, "", unix.MS_BIND, "")
}

// onOwnThread runs f on a thread that ends with it, so that whatever f
// changed about its thread is seen by no other goroutine.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		// The first thread can't end: Go parks it instead, and /proc/self
		// would show our namespaces for ever. Hold it while another runs f.
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			done <- onOwnThread(f)
			return
		}
		done <- f()
	}()
	return <-done
}

// Pinned tells whether a namespace of the given kind is pinned at path. A
// path that does not exist, or that is an ordinary file, is not pinned.
func Pinned(kind Kind, path string) (bool, error) {
	var st unix.Statfs_t
	err := unix.Statfs(path, &st)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look at pinned namespace %s: %w", path, err)
	case st.Type != unix.NSFS_MAGIC:
		return false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("open pinned namespace: %w", err)
	}
	defer f.Close()
	got, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
	if err != nil {
		return false, fmt.Errorf("ask kind of namespace %s: %w", path, err)
	}
	return got == int(kind), nil
}

// Inode returns the number of the namespace that is pinned at path: it is the
// namespace's own as long as the namespace lives.
func Inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("look at pinned namespace %s: %w", path, err)
	}
	return st.Ino, nil
}

// Unpin unmounts whatever is pinned at path, however often, and deletes the
// file. Nothing there is no error. The namespace lives on as long as
// processes are in it.
func Unpin(path string) error {
	for {
		err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return fmt.Errorf("unmount pinned namespace %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete pin: %w", err)
	}
	return nil
}
