package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Mode is the arrangement of cgroup hierarchies on a host.
type Mode string

// The arrangements. On a hybrid host the controllers are in v1 hierarchies
// and there is a v2 hierarchy beside them, good for killing and for pressure.
const (
	V1     Mode = "v1"
	Hybrid Mode = "hybrid"
	V2     Mode = "v2"
)

// The controllers that limits need.
const (
	ctlCPU     = "cpu"
	ctlAccount = "cpuacct"
	ctlMemory  = "memory"
	ctlPIDs    = "pids"
	ctlFreezer = "freezer"
	// ctlIO and ctlBlockIO are one controller's names in v2 and v1. Nothing
	// is limited by it; it counts.
	ctlIO      = "io"
	ctlBlockIO = "blkio"
)

// layout says where the hierarchies of a host are.
type layout struct {
	mode Mode
	// unified is the v2 hierarchy's mount point, empty on pure v1.
	unified string
	// v1 maps a controller to its hierarchy's mount point.
	v1 map[string]string
	// all holds every hierarchy once, named ones too, sorted.
	all []string
}

// detect finds out how cgroups are arranged below a mount point such as
// /sys/fs/cgroup.
func detect(mountpoint string) (layout, error) {
	if exists(filepath.Join(mountpoint, "cgroup.controllers")) {
		return layout{mode: V2, unified: mountpoint, all: []string{mountpoint}}, nil
	}
	entries, err := os.ReadDir(mountpoint)
	if err != nil {
		return layout{}, fmt.Errorf("find cgroups: %w", err)
	}
	l := layout{mode: V1, v1: map[string]string{}}
	for _, e := range entries {
		dir, err := filepath.EvalSymlinks(filepath.Join(mountpoint, e.Name()))
		if err != nil || !exists(filepath.Join(dir, "cgroup.procs")) {
			continue
		}
		if !slices.Contains(l.all, dir) {
			l.all = append(l.all, dir)
		}
		if exists(filepath.Join(dir, "cgroup.controllers")) {
			l.mode, l.unified = Hybrid, dir
			continue
		}
		for name := range strings.SplitSeq(filepath.Base(dir), ",") {
			l.v1[name] = dir
		}
	}
	if len(l.v1) == 0 {
		return layout{}, fmt.Errorf("find cgroups at %s: found no hierarchy, want a cgroup2 mount or v1 mounts below it", mountpoint)
	}
	slices.Sort(l.all)
	return l, nil
}

// hierarchy returns where a controller is; ok is false when the host does not
// offer it to containers. A controller that a hybrid host keeps in its v2
// hierarchy is not offered: runtimes don't use it there.
func (l layout) hierarchy(controller string) (mount string, ok bool) {
	if l.mode != V2 {
		mount, ok = l.v1[controller]
		return mount, ok
	}
	if controller == ctlAccount || controller == ctlFreezer {
		return l.unified, true
	}
	have, err := readFields(filepath.Join(l.unified, "cgroup.controllers"))
	return l.unified, err == nil && slices.Contains(have, controller)
}

func (l layout) writable(mount string) error {
	if err := unix.Access(mount, unix.W_OK); err != nil {
		return fmt.Errorf("write to %s: %w", mount, err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist) && err == nil
}
