package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/pod"
)

// Sizes of the memory file systems of a sandbox: that of /dev/shm is what
// container runtimes give by convention.
const (
	shmOptions   = "mode=1777,size=67108864"
	filesOptions = "mode=0755,size=1048576"
)

// pinNamespaces makes the namespaces of a sandbox, host name and settings of
// the kernel set.
func pinNamespaces(b pod.Sandbox, p *corev1.Pod) error {
	paths := namespaces(b)
	if len(paths) == 0 {
		return nil
	}
	return nspin.Pin(paths, func() error {
		if b.UTSNS != "" {
			if err := unix.Sethostname([]byte(b.Hostname)); err != nil {
				return fmt.Errorf("set host name %q: %w", b.Hostname, err)
			}
		}
		if b.IPCNS == "" {
			return nil
		}
		return setIPCSysctls(p)
	})
}

// namespaces returns those that the sandbox itself pins.
func namespaces(b pod.Sandbox) map[nspin.Kind]string {
	paths := map[nspin.Kind]string{}
	if b.IPCNS != "" {
		paths[nspin.IPC] = b.IPCNS
	}
	if b.UTSNS != "" {
		paths[nspin.UTS] = b.UTSNS
	}
	return paths
}

func mountFolders(b pod.Sandbox) error {
	if b.ShmDir != "" {
		if err := mountTmpfs("shm", b.ShmDir, shmOptions, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC); err != nil {
			return err
		}
	}
	return mountTmpfs("podstead-files", b.FilesDir, filesOptions, unix.MS_NOSUID|unix.MS_NODEV)
}

func mountTmpfs(name, dir, options string, flags uintptr) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(name, dir, "tmpfs", flags, options); err != nil {
		return fmt.Errorf("mount tmpfs at %s: %w", dir, err)
	}
	return nil
}

// whole tells whether everything that a sandbox consists of is there.
func whole(r record) (bool, error) {
	b := r.sandbox()
	if ok, err := sameNetwork(r); err != nil || !ok {
		return false, err
	}
	for kind, path := range namespaces(b) {
		if ok, err := nspin.Pinned(kind, path); err != nil || !ok {
			return false, err
		}
	}
	for _, dir := range []string{b.ShmDir, b.FilesDir} {
		if dir == "" {
			continue
		}
		if ok, err := mounted(dir); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// sameNetwork tells whether the network namespace is the one that the
// sandbox was made with.
func sameNetwork(r record) (bool, error) {
	if r.NetNS == "" {
		return true, nil
	}
	if ok, err := nspin.Pinned(nspin.Net, r.NetNS); err != nil || !ok {
		return false, err
	}
	inode, err := nspin.Inode(r.NetNS)
	return inode == r.NetInode, err
}

// mounted tells whether a tmpfs of its own is mounted at dir.
func mounted(dir string) (bool, error) {
	var fsys unix.Statfs_t
	var here, above unix.Stat_t
	err := errors.Join(unix.Statfs(dir, &fsys), unix.Lstat(dir, &here), unix.Lstat(filepath.Dir(dir), &above))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", dir, err)
	}
	return fsys.Type == unix.TMPFS_MAGIC && here.Dev != above.Dev, nil
}
