package mounts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxDepth bounds the folders that are open at once. What lies deeper is
// moved up before it is deleted, so any depth can be deleted.
const maxDepth = 64

// RemoveAll unmounts everything at dir and below and deletes dir. A dir that
// is not there is no error. Links are deleted, never followed; a mount that
// appears meanwhile is left alone and reported. It stops when ctx ends.
func RemoveAll(ctx context.Context, dir string) error {
	if err := Unmount(dir); err != nil {
		return err
	}
	top, err := openDir(unix.AT_FDCWD, dir)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return os.Remove(dir)
	case err != nil:
		return fmt.Errorf("open %s to delete it: %w", dir, err)
	}
	defer top.Close()
	r := remover{top: int(top.Fd())}
	if err := r.empty(ctx, top, 0); err != nil {
		return fmt.Errorf("delete %s: %w", dir, err)
	}
	if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete %s: %w", dir, err)
	}
	return nil
}

// openDir opens a folder on the mount of at, without following links when at
// is a descriptor.
func openDir(at int, name string) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC}
	if at != unix.AT_FDCWD {
		how.Resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV
	}
	for {
		fd, err := unix.Openat2(at, name, &how)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

type remover struct {
	top   int
	moved int
}

// empty deletes everything in d, also what is put into it meanwhile.
func (r *remover) empty(ctx context.Context, d *os.File, depth int) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := d.Seek(0, io.SeekStart); err != nil {
			return err
		}
		names, err := d.Readdirnames(1024)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := r.remove(ctx, int(d.Fd()), name, depth); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
}

func (r *remover) remove(ctx context.Context, at int, name string, depth int) error {
	err := unix.Unlinkat(at, name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) {
		return err
	}
	if depth >= maxDepth {
		return r.moveUp(at, name)
	}
	d, err := openDir(at, name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := r.empty(ctx, d, depth+1); err != nil {
		return err
	}
	err = unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// moveUp renames a deep folder into the top one, under a name that is free.
func (r *remover) moveUp(at int, name string) error {
	for {
		r.moved++
		err := unix.Renameat2(at, name, r.top, ".deep-"+strconv.Itoa(r.moved), unix.RENAME_NOREPLACE)
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
}
