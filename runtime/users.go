package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

// mountPrefix begins the names of the folders below RunDir on which images are
// mounted for a moment.
const mountPrefix = "image-"

// userFiles are /etc/passwd and /etc/group of an image, nil where missing.
type userFiles struct {
	passwd, group []byte
}

// userFiles returns those of an image, read once per image.
func (r *Runtime) userFiles(ctx context.Context, img pod.Image, info *imageInfo) (*userFiles, error) {
	r.mu.Lock()
	users := info.users
	r.mu.Unlock()
	if users != nil {
		return users, nil
	}
	users, err := r.readUsers(ctx, info)
	if err != nil {
		return nil, failed("read the users of image", img.Ref, err)
	}
	r.mu.Lock()
	info.users = users
	r.mu.Unlock()
	return users, nil
}

// readUsers mounts the image for reading. A lease lets containerd collect the
// view should this process die here.
func (r *Runtime) readUsers(ctx context.Context, info *imageInfo) (_ *userFiles, err error) {
	ctx, done, err := r.lease(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := os.MkdirAll(r.cfg.RunDir, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(r.cfg.RunDir, mountPrefix)
	if err != nil {
		return nil, err
	}
	defer os.Remove(dir)
	snapshots := r.client.SnapshotService(r.cfg.Snapshotter)
	key := "podstead-" + filepath.Base(dir)
	mounts, err := snapshots.View(ctx, key, info.chainID)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, atEnd(ctx, func(ctx context.Context) error { return snapshots.Remove(ctx, key) }))
	}()
	if err := mount.All(mounts, dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mount.UnmountAll(dir, 0)) }()
	return readUserFiles(dir)
}

func readUserFiles(root string) (*userFiles, error) {
	passwd, err := readInRoot(root, "etc/passwd")
	if err != nil {
		return nil, err
	}
	group, err := readInRoot(root, "etc/group")
	if err != nil {
		return nil, err
	}
	return &userFiles{passwd: passwd, group: group}, nil
}

// readInRoot reads a file of an image, whose links lead nowhere else, and
// which is no trap: only an ordinary file is read, and not for ever.
func readInRoot(root, path string) ([]byte, error) {
	handle, err := pathrs.OpenInRoot(root, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	if info, err := handle.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	f, err := pathrs.Reopen(handle, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, spec.MaxUserFile+1))
}

// removeOldMounts takes away what a process that was killed left mounted.
func (r *Runtime) removeOldMounts() error {
	entries, err := os.ReadDir(r.cfg.RunDir)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), mountPrefix) {
			continue
		}
		dir := filepath.Join(r.cfg.RunDir, e.Name())
		if err := mount.UnmountAll(dir, 0); err != nil {
			return fmt.Errorf("unmount %q: %w", dir, err)
		}
		if err := ignoreMissing(os.Remove(dir)); err != nil {
			return err
		}
	}
	return nil
}

// atEnd runs f although ctx may have ended.
func atEnd(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	return f(ctx)
}
