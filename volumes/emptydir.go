package volumes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// noGroup is the fsGroup of pods that have none.
const noGroup = -1

func fsGroup(p *corev1.Pod) int64 {
	if p.Spec.SecurityContext == nil || p.Spec.SecurityContext.FSGroup == nil {
		return noGroup
	}
	return *p.Spec.SecurityContext.FSGroup
}

// emptyDirMode is that of an emptyDir: everybody may write; with an fsGroup,
// what is made in it belongs to the group.
func emptyDirMode(group int64) uint32 {
	if group == noGroup {
		return 0o777
	}
	return 0o777 | unix.S_ISGID
}

// makeOnDisk makes an emptyDir, or finds one and leaves it as its containers
// have it. It appears with its owner and mode, or not at all.
func makeOnDisk(parent, name string, group int64) error {
	dir := filepath.Join(parent, name)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	making := filepath.Join(parent, ".making-"+name)
	if err := os.Mkdir(making, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if group != noGroup {
		if err := os.Chown(making, -1, int(group)); err != nil {
			return fmt.Errorf("give to fsGroup %d: %w", group, err)
		}
	}
	if err := unix.Chmod(making, emptyDirMode(group)); err != nil {
		return &os.PathError{Op: "chmod", Path: making, Err: err}
	}
	return os.Rename(making, dir)
}

// makeInMemory mounts a tmpfs of at most size bytes, or finds it mounted.
func makeInMemory(dir string, size, group int64) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	mounted, err := isMounted(dir)
	if err != nil || mounted {
		return err
	}
	options := "mode=" + strconv.FormatUint(uint64(emptyDirMode(group)), 8)
	if group != noGroup {
		options += ",gid=" + strconv.FormatInt(group, 10)
	}
	if size > 0 {
		options += ",size=" + strconv.FormatInt(size, 10)
	}
	if err := unix.Mount("emptydir", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount tmpfs (%s) at %s: %w", options, dir, err)
	}
	return nil
}

// isMounted tells whether something is mounted at a folder, by its device:
// good for file systems of their own.
func isMounted(dir string) (bool, error) {
	var here, above unix.Stat_t
	if err := errors.Join(unix.Lstat(dir, &here), unix.Lstat(filepath.Dir(dir), &above)); err != nil {
		return false, fmt.Errorf("look at %s: %w", dir, err)
	}
	return here.Dev != above.Dev, nil
}

// memorySize is the least of the volume's sizeLimit, the pod's memory limit
// (if all its containers have one) and what the node has for pods; 0 if there
// is no bound at all.
func (v *Volumes) memorySize(p *corev1.Pod, e *corev1.EmptyDirVolumeSource) int64 {
	size := min(v.cfg.MemoryAllocatable, memoryLimit(p))
	if e.SizeLimit != nil && e.SizeLimit.Value() > 0 {
		size = min(size, e.SizeLimit.Value())
	}
	if size == unbounded {
		return 0
	}
	return size
}
