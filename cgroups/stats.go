package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/podstead/podstead/pod"
)

// Stats reads what a cgroup used and met, as far as the host counts it. The
// error wraps fs.ErrNotExist when there is no such cgroup.
func (m *Manager) Stats(_ context.Context, at string) (pod.CgroupStats, error) {
	var s pod.CgroupStats
	err := m.readAll(at, &s, m.readThrottling, m.readCPUTime, m.readUserTime, m.readMemory, m.readTasks, m.readMaxTasks, m.readIO, m.readPressure)
	return s, err
}

// PodStats reads of a pod's cgroup what people ask of all its containers
// together: processor time, throttling, the common numbers of memory, kills,
// tasks with their limit, and pressure. Everything else is not measured: a
// pod's cgroup costs as much to read as a container's, and there are as many of
// them. The error wraps fs.ErrNotExist when there is no such cgroup.
func (m *Manager) PodStats(_ context.Context, at string) (pod.CgroupStats, error) {
	var s pod.CgroupStats
	err := m.readAll(at, &s, m.readThrottling, m.readCPUTime, m.readPodMemory, m.readTasks, m.readMaxTasks, m.readPressure)
	if s.CPU != nil {
		s.CPU.User, s.CPU.System = pod.Unmeasured, pod.Unmeasured
	}
	return s, err
}

// Usage reads of a cgroup's statistics the processor time in all and the
// working set of memory, and nothing else: every file less counts for those
// who ask often.
func (m *Manager) Usage(_ context.Context, at string) (pod.CgroupStats, error) {
	var s pod.CgroupStats
	err := m.readAll(at, &s, m.readCPUTime, m.readWorkingSet)
	return s, err
}

// part reads one sort of statistics.
type part func(r *reader, at string, s *pod.CgroupStats) error

func (m *Manager) readAll(at string, s *pod.CgroupStats, parts ...part) error {
	if err := m.inside(at); err != nil {
		return err
	}
	return m.readParts(at, s, parts...)
}

func (m *Manager) readParts(at string, s *pod.CgroupStats, parts ...part) error {
	r := m.reader()
	defer m.free(r)
	for _, read := range parts {
		if err := read(r, at, s); err != nil {
			*s = pod.CgroupStats{}
			return fmt.Errorf("read statistics of cgroup %s: %w", at, err)
		}
	}
	return nil
}

// enter turns to a cgroup's folder in the hierarchy of a controller. ok is
// false where there is none, or not this folder. On cgroup v2 it is there
// whichever controllers are: see unoffered.
func (m *Manager) enter(r *reader, controller, at string) (ok bool, err error) {
	mount := m.layout.unified
	if m.layout.mode != V2 {
		if mount, ok = m.layout.hierarchy(controller); !ok {
			return false, nil
		}
	}
	err = r.enter(mount, at)
	return err == nil, err
}

// unoffered turns the absence of a controller's first file on cgroup v2, where
// the folder is there all the same, into statistics that are not measured.
func (m *Manager) unoffered(err error) bool {
	return m.layout.mode == V2 && errors.Is(err, fs.ErrNotExist)
}

// readThrottling reads cpu.stat, which on cgroup v2 tells processor time too.
func (m *Manager) readThrottling(r *reader, at string, s *pod.CgroupStats) error {
	ok, err := m.enter(r, ctlCPU, at)
	if !ok {
		return err
	}
	stat, err := r.table("cpu.stat")
	if err != nil {
		return err
	}
	s.CPU = &pod.CPUStats{
		Periods: stat.orZero("nr_periods"), Throttled: stat.orZero("nr_throttled"),
		ThrottledTime: time.Duration(stat.orZero("throttled_time")) + time.Duration(stat.orZero("throttled_usec"))*time.Microsecond,
		Total:         time.Duration(stat.orZero("usage_usec")) * time.Microsecond,
		User:          time.Duration(stat.orZero("user_usec")) * time.Microsecond,
		System:        time.Duration(stat.orZero("system_usec")) * time.Microsecond,
	}
	return nil
}

// readCPUTime reads the processor time alone.
func (m *Manager) readCPUTime(r *reader, at string, s *pod.CgroupStats) error {
	if m.layout.mode == V2 {
		if s.CPU != nil {
			return nil
		}
		return m.readThrottling(r, at, s)
	}
	ok, err := m.enter(r, ctlAccount, at)
	if !ok {
		return err
	}
	used, err := r.number("cpuacct.usage")
	if s.CPU == nil {
		s.CPU = &pod.CPUStats{}
	}
	s.CPU.Total = time.Duration(used)
	return err
}

// readUserTime divides the processor time that was read.
func (m *Manager) readUserTime(r *reader, at string, s *pod.CgroupStats) error {
	if m.layout.mode == V2 || s.CPU == nil {
		return nil
	}
	ok, err := m.enter(r, ctlAccount, at)
	if !ok {
		return err
	}
	user, err := optional(r.number("cpuacct.usage_user"))
	s.CPU.User, s.CPU.System = time.Duration(user), pod.Unmeasured
	if user != pod.Unmeasured { // the one is the sum of two
		s.CPU.System = max(0, s.CPU.Total-s.CPU.User)
	}
	return err
}

// optional turns a file that this kernel does not have into a number that is
// not measured.
func optional(n int64, err error) (int64, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return pod.Unmeasured, nil
	}
	return n, err
}

func (m *Manager) readTasks(r *reader, at string, s *pod.CgroupStats) error {
	ok, err := m.enter(r, ctlPIDs, at)
	if !ok {
		return err
	}
	current, err := r.number("pids.current")
	if m.unoffered(err) {
		return nil
	}
	s.PIDs = &pod.PIDStats{Current: current, Max: pod.Unmeasured, LimitHits: pod.Unmeasured}
	if events, err := r.table("pids.events"); err == nil {
		s.PIDs.LimitHits = events.orZero("max")
	}
	return err
}

// readMaxTasks reads the limit of what was counted.
func (m *Manager) readMaxTasks(r *reader, at string, s *pod.CgroupStats) error {
	if s.PIDs == nil {
		return nil
	}
	ok, err := m.enter(r, ctlPIDs, at)
	if !ok {
		return err
	}
	limit, err := r.number("pids.max")
	if limit != none {
		s.PIDs.Max = limit
	}
	return err
}

// MemoryUsage returns the bytes that a cgroup can't give back: what is
// charged less inactive page cache; 0 where the host does not count memory.
func (m *Manager) MemoryUsage(_ context.Context, at string) (int64, error) {
	if err := m.inside(at); err != nil {
		return 0, err
	}
	return m.memoryUsage(at)
}

func (m *Manager) memoryUsage(at string) (int64, error) {
	var s pod.CgroupStats
	if err := m.readParts(at, &s, m.readWorkingSet); err != nil {
		return 0, err
	}
	if s.Memory == nil {
		return 0, nil
	}
	return s.Memory.WorkingSet, nil
}

// OOMKills counts the processes of a cgroup that the kernel killed for want
// of memory; 0 where the host does not count memory. The count is lost with
// the cgroup, so it is read before that is removed.
func (m *Manager) OOMKills(_ context.Context, at string) (int64, error) {
	if err := m.inside(at); err != nil {
		return 0, err
	}
	r := m.reader()
	defer m.free(r)
	ok, err := m.enter(r, ctlMemory, at)
	if !ok {
		return 0, err
	}
	name := "memory.oom_control"
	if m.layout.mode == V2 {
		name = "memory.events"
	}
	stat, err := r.table(name)
	switch {
	case m.unoffered(err) && exists(filepath.Join(m.layout.unified, at)):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read OOM kills of cgroup %s: %w", at, err)
	}
	return stat.orZero("oom_kill"), nil
}
