package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime"
	"github.com/podstead/podstead/runtime/containerd"
)

// disks measures the file systems that podstead and its pods write to, and
// keeps what containerd has on them in bounds.
type disks struct {
	runtime *runtime.Runtime
	// folders are where things lie but images.
	folders []folder
	// containerd is nil where podstead does not supervise it, since a unit does
	// or in mode external, and reserve is nil in mode external.
	containerd *containerd.Server
	reserve    *containerd.Reserve

	mu sync.Mutex
	// images is where they are unpacked; empty while containerd was not asked.
	images string // guarded by mu
}

type folder struct{ use, path string }

func newDisks(c *config.Configuration, server *containerd.Server) *disks {
	d := &disks{containerd: server, folders: []folder{{"state", c.StateDir}, {"logs", c.LogDir}, {"run", c.RunDir}}}
	if c.Runtime.Mode == config.ModeOwn {
		d.reserve, d.images = containerd.NewReserve(c.Runtime.Root), c.Runtime.Root
	}
	return d
}

// Filesystems implements agent.Disks. Before it measures it sets aside what
// containers can be deleted with when the disk is full.
func (d *disks) Filesystems(ctx context.Context) ([]pod.Filesystem, error) {
	var failed []error
	if d.reserve != nil {
		failed = append(failed, d.reserve.Keep())
	}
	if d.containerd != nil {
		failed = append(failed, d.containerd.BoundLog())
	}
	all := d.folders
	if root := d.imageRoot(ctx); root != "" {
		all = append([]folder{{plan.UseImages, root}}, d.folders...)
	}
	var list []pod.Filesystem
	place := map[uint64]int{}
	for _, f := range all {
		device, err := deviceOf(f.path)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if i, known := place[device]; known {
			list[i].Uses = append(list[i].Uses, f.use)
			continue
		}
		fs, err := measure(f.path)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		fs.Uses, place[device] = []string{f.use}, len(list)
		list = append(list, fs)
	}
	return list, errors.Join(failed...)
}

// imageRoot is asked for once; "" while nobody can tell.
func (d *disks) imageRoot(ctx context.Context) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.images == "" {
		// It is asked again at the next measurement.
		d.images, _ = d.runtime.ImageRoot(ctx)
	}
	return d.images
}

// available is how many bytes can be written where images are.
func (d *disks) available() (int64, error) {
	d.mu.Lock()
	root := d.images
	d.mu.Unlock()
	if root == "" {
		return 0, errors.New("containerd has not told yet where it keeps images")
	}
	fs, err := measure(root)
	return fs.Available, err
}

// makeRoom gives up a part of the reserve.
func (d *disks) makeRoom() bool { return d.reserve != nil && d.reserve.Release() }

func deviceOf(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("look at %s: %w", path, err)
	}
	return st.Dev, nil
}

func measure(path string) (pod.Filesystem, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return pod.Filesystem{}, fmt.Errorf("measure the file system of %s: %w", path, err)
	}
	return pod.Filesystem{
		Path: path, Size: int64(st.Blocks) * st.Bsize, Available: int64(st.Bavail) * st.Bsize,
		Inodes: int64(st.Files), InodesFree: int64(st.Ffree), ReadOnly: st.Flags&unix.ST_RDONLY != 0,
	}, nil
}
