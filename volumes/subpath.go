package volumes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/mounts"
)

// subPathEscape is the reason of sub paths that lead out of their volume.
const subPathEscape = "SubPathEscape"

// maxRaces bounds how often a path is resolved anew because somebody changes
// it at the same time.
const maxRaces = 64

// bindBelow binds what is at sub in a volume to the private place, which may
// already hold it. The thing that was resolved is the thing that is bound:
// no path is walked twice.
func bindBelow(volume, sub, private string) error {
	root, err := unix.Open(volume, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open volume %s: %w", volume, err)
	}
	defer unix.Close(root)
	fd, err := openBelow(root, sub)
	switch {
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.ELOOP):
		return refuse(subPathEscape, "sub path %q has a symbolic link that leads out of its volume or around in a circle, want links that stay in the volume; nothing is mounted", sub)
	case errors.Is(err, unix.ENOTDIR):
		return refuse("CreateContainerConfigError", "sub path %q goes through something that is not a directory; nothing is mounted", sub)
	case errors.Is(err, unix.EEXIST):
		return refuse("CreateContainerConfigError", "sub path %q goes through a symbolic link to nothing; nothing is mounted", sub)
	case err != nil:
		return fmt.Errorf("resolve sub path %q: %w", sub, err)
	}
	defer unix.Close(fd)
	return bind(fd, private)
}

// openBelow opens what is at sub below root and makes missing folders. Links
// are followed as long as they stay below root.
func openBelow(root int, sub string) (int, error) {
	var err error
	for range maxRaces {
		var fd int
		fd, err = openAt(root, sub, unix.RESOLVE_BENEATH)
		if !errors.Is(err, unix.ENOENT) {
			return fd, err
		}
		err = makeMissing(root, sub)
		// Somebody else made, removed or replaced a part of it: look again.
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENOTDIR) {
			return -1, err
		}
	}
	if err == nil {
		err = unix.EAGAIN
	}
	return -1, err
}

// openAt opens a path below a descriptor without any access to its content.
func openAt(at int, path string, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS}
	var err error
	for range maxRaces {
		var fd int
		fd, err = unix.Openat2(at, path, &how)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
	return -1, err
}

// makeMissing makes the folders of sub that are not there, with the mode of
// the volume's own folder.
func makeMissing(root int, sub string) error {
	var st unix.Stat_t
	if err := unix.Fstat(root, &st); err != nil {
		return err
	}
	parts := strings.Split(sub, "/")
	at, rest, err := deepest(root, parts)
	if err != nil {
		return err
	}
	for _, name := range rest {
		next, err := makeFolder(at, name, st.Mode&0o7777)
		_ = unix.Close(at)
		if err != nil {
			return err
		}
		at = next
	}
	return unix.Close(at)
}

// deepest opens the deepest folder on a path that exists and returns what is
// missing below it.
func deepest(root int, parts []string) (fd int, missing []string, err error) {
	for n := range slices.Backward(parts) {
		at := "."
		if n > 0 {
			at = strings.Join(parts[:n], "/")
		}
		fd, err = openAt(root, at, unix.RESOLVE_BENEATH)
		if !errors.Is(err, unix.ENOENT) {
			return fd, parts[n:], err
		}
	}
	return -1, nil, err
}

// makeFolder makes one folder and opens it, if it still is one.
func makeFolder(at int, name string, mode uint32) (int, error) {
	if err := unix.Mkdirat(at, name, mode&0o777); err != nil {
		return -1, err
	}
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := unix.Openat2(at, name, &how)
	if err != nil {
		return -1, err
	}
	// The daemon's umask must not decide about the mode.
	if err := unix.Fchmod(fd, mode); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bind makes what a descriptor refers to appear at a path of ours, unless it
// is there already.
func bind(fd int, private string) error {
	var want, have unix.Stat_t
	if err := unix.Fstat(fd, &want); err != nil {
		return err
	}
	if err := unix.Lstat(private, &have); err == nil && have.Dev == want.Dev && have.Ino == want.Ino {
		return nil
	}
	if err := mounts.Unmount(private); err != nil {
		return err
	}
	if err := makePlace(private, want.Mode&unix.S_IFMT == unix.S_IFDIR); err != nil {
		return fmt.Errorf("make a place for the mount: %w", err)
	}
	tree, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("bind sub path: %w", err)
	}
	defer unix.Close(tree)
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, private, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("bind sub path to %s: %w", private, err)
	}
	return nil
}

// makePlace makes an empty folder or file to mount on.
func makePlace(path string, folder bool) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if folder {
		return os.Mkdir(path, 0o700)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}
