package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// killPasses times killWait milliseconds bound how long kill waits.
const (
	killPasses = 10
	killWait   = 100
)

// kill ends every process in a cgroup and below it and waits until they are
// gone. Where there is a v2 hierarchy, the kernel kills all at once; processes
// that are in v1 hierarchies only are frozen first, so that they can't fork
// faster than they are killed.
func (m *Manager) kill(ctx context.Context, at string) error {
	for range killPasses {
		pids, err := m.pids(at)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.killPass(at, pids); err != nil {
			return err
		}
	}
	pids, err := m.pids(at)
	if err != nil || len(pids) == 0 {
		return err
	}
	return fmt.Errorf("%d processes were sent SIGKILL and still live (the first is %d, %s): UnkillableProcess", len(pids), pids[0], processState(pids[0]))
}

func (m *Manager) killPass(at string, pids []int) error {
	if m.layout.unified != "" {
		dir := filepath.Join(m.layout.unified, at)
		if err := writeFile(dir, "cgroup.kill", "1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if m.layout.mode == V2 && exists(filepath.Join(m.layout.unified, at, "cgroup.kill")) {
		m.thaw(at)
		return waitFor(m.open(at, pids))
	}
	if err := m.freeze(at, "FROZEN"); err != nil {
		return err
	}
	// Read again: now that they can't fork, the list is complete.
	pids, err := m.pids(at)
	victims := m.open(at, pids)
	for _, fd := range victims {
		err = errors.Join(err, ignore(unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0), unix.ESRCH))
	}
	m.thaw(at)
	return errors.Join(err, waitFor(victims))
}

// freeze sets the state of the freezer of v1. A host without one is no error.
func (m *Manager) freeze(at, state string) error {
	mount, ok := m.layout.v1[ctlFreezer]
	if !ok {
		return nil
	}
	err := writeFile(filepath.Join(mount, at), "freezer.state", state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// thaw lets processes run to their death, also those that were frozen by
// themselves or by somebody else, in nested cgroups too.
func (m *Manager) thaw(at string) {
	if mount, ok := m.layout.v1[ctlFreezer]; ok {
		walk(filepath.Join(mount, at), func(dir string) { _ = writeFile(dir, "freezer.state", "THAWED") })
	}
	if m.layout.unified != "" {
		walk(filepath.Join(m.layout.unified, at), func(dir string) { _ = writeFile(dir, "cgroup.freeze", "0") })
	}
}

// walk calls f for a cgroup and those below it, parents first.
func walk(dir string, f func(dir string)) {
	f(dir)
	names, _ := children(dir)
	for _, name := range names {
		walk(filepath.Join(dir, name), f)
	}
}

// pids lists the processes in a cgroup and below it, in any hierarchy, sorted.
func (m *Manager) pids(at string) ([]int, error) {
	var pids []int
	var failed []error
	for _, mount := range m.layout.all {
		walk(filepath.Join(mount, at), func(dir string) {
			fields, err := readFields(filepath.Join(dir, "cgroup.procs"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errGone) {
				failed = append(failed, err)
			}
			for _, f := range fields {
				// 0 is a process of another PID namespace; it is killed by
				// cgroup.kill or by whoever sees it.
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
					pids = append(pids, pid)
				}
			}
		})
	}
	slices.Sort(pids)
	return slices.Compact(pids), errors.Join(failed...)
}

// open returns pidfds of those processes that are still in the cgroup: a
// number that was reused by somebody else's process is left out.
func (m *Manager) open(at string, pids []int) []int {
	var fds []int
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if !belongs(pid, at) {
			_ = unix.Close(fd)
			continue
		}
		fds = append(fds, fd)
	}
	return fds
}

// belongs tells whether a process is in the cgroup, or below it, in any
// hierarchy.
func belongs(pid int, at string) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && (parts[2] == at || strings.HasPrefix(parts[2], at+"/")) {
			return true
		}
	}
	return false
}

// waitFor waits until every process has ended, or killWait has passed, and
// closes the pidfds.
func waitFor(fds []int) error {
	left := killWait
	for _, fd := range fds {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, left)
		if n == 0 && !errors.Is(err, unix.EINTR) {
			left = 0
		}
	}
	var err error
	for _, fd := range fds {
		err = errors.Join(err, unix.Close(fd))
	}
	return err
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// processState describes a process that does not die, such as "D (disk sleep)".
func processState(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "state unknown"
	}
	for line := range strings.Lines(string(data)) {
		if state, ok := strings.CutPrefix(line, "State:"); ok {
			return "state " + strings.TrimSpace(state)
		}
	}
	return "state unknown"
}
