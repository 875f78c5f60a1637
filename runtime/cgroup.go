package runtime

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killPause is how long killed processes get to be gone before they are
// counted again.
const killPause = 5 * time.Millisecond

// cgroup is one container's cgroup in every hierarchy of the host, which may
// be version 1, 2 or both.
type cgroup struct {
	dirs []string
}

// cgroupOf finds the cgroup of a container. A path that does not end in the
// container's own id is refused: whatever lives below it may be killed.
func (r *Runtime) cgroupOf(id, path string) (cgroup, error) {
	if id == "" || filepath.Base(path) != id || !filepath.IsAbs(path) {
		return cgroup{}, fmt.Errorf("cgroup path %q of container %q: must end in the container's id", path, id)
	}
	var c cgroup
	for _, parent := range r.hierarchies() {
		dir := filepath.Join(parent, path)
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			c.dirs = append(c.dirs, dir)
		}
	}
	return c, nil
}

// hierarchies returns the root of every mounted cgroup hierarchy: the only
// one of version 2, or one for each controller of version 1.
func (r *Runtime) hierarchies() []string {
	if _, err := os.Stat(filepath.Join(r.cfg.CgroupRoot, "cgroup.controllers")); err == nil {
		return []string{r.cfg.CgroupRoot}
	}
	entries, err := os.ReadDir(r.cfg.CgroupRoot)
	if err != nil {
		return nil
	}
	var roots []string
	for _, e := range entries {
		// Links such as cpu -> cpu,cpuacct would count everything twice.
		if e.IsDir() {
			roots = append(roots, filepath.Join(r.cfg.CgroupRoot, e.Name()))
		}
	}
	return roots
}

// oomKills is how often the kernel killed a process of this cgroup for want of
// memory.
func (c cgroup) oomKills() int {
	most := 0
	for _, dir := range c.dirs {
		for _, name := range []string{"memory.events", "memory.oom_control"} {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				most = max(most, counter(b, "oom_kill"))
			}
		}
	}
	return most
}

// counter reads "name N" out of a flat keyed file.
func counter(file []byte, name string) int {
	for line := range strings.Lines(string(file)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == name {
			n, _ := strconv.Atoi(value)
			return n
		}
	}
	return 0
}

// processes lists the processes in the cgroup and below it.
func (c cgroup) processes() (map[int]bool, error) {
	pids := map[int]bool{}
	for _, dir := range c.dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !e.IsDir() {
				return err
			}
			return readProcesses(filepath.Join(path, "cgroup.procs"), pids)
		})
		if err != nil {
			return nil, err
		}
	}
	return pids, nil
}

func readProcesses(file string, pids map[int]bool) error {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		// 0 stands for a process of another PID namespace.
		if pid, err := strconv.Atoi(lines.Text()); err == nil && pid > 0 {
			pids[pid] = true
		}
	}
	return nil
}

// empty kills every process of the cgroup and returns when none is left. When
// ctx ends before, the error names the survivors.
func (c cgroup) empty(ctx context.Context) error {
	for {
		pids, err := c.processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, dir := range c.dirs {
			// Version 2 kills even what forks meanwhile. Elsewhere there is
			// no such file, and the loop has to win.
			_ = os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		}
		for pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes survive SIGKILL (%v): %w", len(pids), keys(pids), context.Cause(ctx))
		case <-time.After(killPause):
		}
	}
}

func keys(m map[int]bool) []int {
	list := make([]int, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	return list
}
