package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/cgroups"
	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime"
	"github.com/podstead/podstead/volumes"
)

// statistics lets metrics read what is in use.
type statistics struct {
	stats
	nodeStats
}

// Cgroup reads what a cgroup uses.
func (s stats) Cgroup(ctx context.Context, path string) (pod.CgroupStats, error) {
	return s.cgroups.Stats(ctx, path)
}

// PodCgroup reads what a pod's cgroup uses.
func (s stats) PodCgroup(ctx context.Context, path string) (pod.CgroupStats, error) {
	return s.cgroups.PodStats(ctx, path)
}

// CgroupUsage reads the processor time and the working set of a cgroup.
func (s stats) CgroupUsage(ctx context.Context, path string) (pod.CgroupStats, error) {
	return s.cgroups.Usage(ctx, path)
}

// Network reads the counters of the network in which a process is.
func (s stats) Network(_ context.Context, pid int) ([]pod.InterfaceStats, error) {
	return network.Counters(pid)
}

// disk lets metrics measure what takes time.
type disk struct {
	cgroups *cgroups.Manager
	runtime *runtime.Runtime
	volumes *volumes.Volumes
	// dir is on the file system that containers write to.
	dir string
}

// Pod measures what can be measured; what can't is left out.
func (d disk) Pod(ctx context.Context, p *pod.View) (pod.DiskStats, error) {
	s := pod.DiskStats{Layers: map[string]int64{}, Logs: map[string]int64{}}
	for _, c := range p.Containers {
		if c.Role == pod.RolePause {
			continue
		}
		if n, err := d.runtime.LayerUsage(ctx, c.ID); err == nil {
			s.Layers[c.Name] = n
		}
		if n, err := folderSize(filepath.Dir(c.LogPath)); err == nil && c.LogPath != "" {
			s.Logs[c.Name] = n
		}
	}
	var err error
	// With an error it is what could be read.
	s.Volumes, err = d.volumes.Usage(ctx, p.Pod.UID)
	if err != nil && len(s.Layers)+len(s.Logs)+len(s.Volumes) == 0 {
		return s, err
	}
	return s, nil
}

func (d disk) Processes(ctx context.Context, path string) (pod.ProcessStats, error) {
	return d.cgroups.Processes(ctx, path)
}

// folderSize adds up what the files of a folder take; it has no folders.
func folderSize(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated away
		}
		if err != nil {
			return sum, err
		}
		var st unix.Stat_t
		if unix.Lstat(filepath.Join(dir, e.Name()), &st) == nil && info.Mode().IsRegular() {
			sum += st.Blocks * 512
		}
	}
	return sum, nil
}

func (d disk) Filesystem(context.Context) (pod.FilesystemStats, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.dir, &st); err != nil {
		return pod.FilesystemStats{}, fmt.Errorf("measure the file system of %s: %w", d.dir, err)
	}
	return pod.FilesystemStats{
		Device: mountedAt(d.dir), Size: int64(st.Blocks) * st.Bsize, Available: int64(st.Bavail) * st.Bsize,
		Inodes: int64(st.Files), InodeFree: int64(st.Ffree),
	}, nil
}

// mountedAt names what is mounted where a folder is, "" when nobody knows.
func mountedAt(dir string) string {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return ""
	}
	want := strconv.Itoa(int(unix.Major(st.Dev))) + ":" + strconv.Itoa(int(unix.Minor(st.Dev)))
	mounts, err := procfs.GetMounts()
	if err != nil {
		return ""
	}
	for _, m := range mounts {
		if m.MajorMinorVer == want {
			return m.Source
		}
	}
	return ""
}
