// Package mounts takes folders away that other programs may have mounted on,
// linked from or written into: mounts are undone first, never lazily, and
// deletion neither follows a link nor crosses into another file system.
package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Below lists the mount points at dir and below, deepest and latest first:
// the order in which they can be unmounted. A mount point that is mounted
// over appears as often as it is mounted. dir must be absolute.
func Below(dir string) ([]string, error) {
	real, err := realParent(dir)
	if err != nil {
		return nil, err
	}
	// Nothing is mounted where nothing is, and the list of all mounts is long
	// on a server with many pods.
	if _, err := os.Lstat(real); errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	infos, err := mountinfo.GetMounts(func(i *mountinfo.Info) (skip, stop bool) {
		return i.Mountpoint != real && !strings.HasPrefix(i.Mountpoint, real+"/"), false
	})
	if err != nil {
		return nil, fmt.Errorf("list mounts below %s: %w", dir, err)
	}
	points := make([]string, 0, len(infos))
	for _, i := range infos {
		points = append(points, i.Mountpoint)
	}
	// A mount is listed after the one it was made upon, and a child's path is
	// longer than its parent's.
	slices.Reverse(points)
	slices.SortStableFunc(points, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	return points, nil
}

// realParent resolves links above dir, as mountinfo shows paths; not dir
// itself, which may be anything.
func realParent(dir string) (string, error) {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) == "/" {
		return "", fmt.Errorf("unmount below %q: want an absolute path other than /", dir)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(filepath.Clean(dir)))
	if errors.Is(err, unix.ENOENT) {
		return filepath.Clean(dir), nil
	}
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", dir, err)
	}
	return filepath.Join(parent, filepath.Base(dir)), nil
}

// Unmount undoes every mount at dir and below. A busy mount is an error that
// names it, after everything else was undone: it is to be tried again once
// the processes that hold it are gone. It is never detached lazily, since
// that would hide files that somebody still writes.
func Unmount(dir string) error {
	points, err := Below(dir)
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range points {
		err := unix.Unmount(p, unix.UMOUNT_NOFOLLOW)
		if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			continue
		}
		failed = append(failed, fmt.Errorf("unmount %s: %w", p, err))
	}
	return errors.Join(failed...)
}
