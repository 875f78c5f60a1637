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
	if err := m.inside(at); err != nil {
		return pod.CgroupStats{}, err
	}
	var s pod.CgroupStats
	err := errors.Join(m.readCPU(at, &s), m.readMemory(at, &s), m.readPIDs(at, &s), m.readIO(at, &s), m.readPressure(at, &s))
	if err != nil {
		return pod.CgroupStats{}, fmt.Errorf("read statistics of cgroup %s: %w", at, err)
	}
	return s, nil
}

// Usage reads of a cgroup's statistics the processor time in all and the
// working set of memory, and nothing else: every file less counts for those
// who ask often.
func (m *Manager) Usage(_ context.Context, at string) (pod.CgroupStats, error) {
	if err := m.inside(at); err != nil {
		return pod.CgroupStats{}, err
	}
	var s pod.CgroupStats
	if err := errors.Join(m.readCPUTime(at, &s), m.readWorkingSet(at, &s)); err != nil {
		return pod.CgroupStats{}, fmt.Errorf("read usage of cgroup %s: %w", at, err)
	}
	return s, nil
}

func (m *Manager) readCPUTime(at string, s *pod.CgroupStats) error {
	if m.layout.mode == V2 {
		return m.readCPU(at, s) // which is one file
	}
	mount, ok := m.layout.hierarchy(ctlAccount)
	if !ok {
		return nil
	}
	used, err := readNumber(filepath.Join(mount, at), "cpuacct.usage")
	s.CPU = &pod.CPUStats{Total: time.Duration(used)}
	return err
}

func (m *Manager) readCPU(at string, s *pod.CgroupStats) error {
	cpu := &pod.CPUStats{}
	if mount, ok := m.layout.hierarchy(ctlCPU); ok {
		stat, err := readTable(filepath.Join(mount, at), "cpu.stat")
		if err != nil {
			return err
		}
		s.CPU = cpu
		cpu.Periods, cpu.Throttled = stat.orZero("nr_periods"), stat.orZero("nr_throttled")
		cpu.ThrottledTime = time.Duration(stat.orZero("throttled_time")) + time.Duration(stat.orZero("throttled_usec"))*time.Microsecond
		cpu.Total = time.Duration(stat.orZero("usage_usec")) * time.Microsecond
		cpu.User = time.Duration(stat.orZero("user_usec")) * time.Microsecond
		cpu.System = time.Duration(stat.orZero("system_usec")) * time.Microsecond
	}
	if m.layout.mode == V2 {
		return nil
	}
	mount, ok := m.layout.hierarchy(ctlAccount)
	if !ok {
		return nil
	}
	s.CPU = cpu
	dir := filepath.Join(mount, at)
	used, err := readNumber(dir, "cpuacct.usage")
	user, err1 := optional(readNumber(dir, "cpuacct.usage_user"))
	system, err2 := optional(readNumber(dir, "cpuacct.usage_sys"))
	cpu.Total, cpu.User, cpu.System = time.Duration(used), time.Duration(user), time.Duration(system)
	return errors.Join(err, err1, err2)
}

// optional turns a file that this kernel does not have into a number that is
// not measured.
func optional(n int64, err error) (int64, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return pod.Unmeasured, nil
	}
	return n, err
}

func (m *Manager) readPIDs(at string, s *pod.CgroupStats) error {
	mount, ok := m.layout.hierarchy(ctlPIDs)
	if !ok {
		return nil
	}
	dir := filepath.Join(mount, at)
	current, err1 := readNumber(dir, "pids.current")
	limit, err2 := readNumber(dir, "pids.max")
	if limit == none {
		limit = pod.Unmeasured
	}
	s.PIDs = &pod.PIDStats{Current: current, Max: limit, LimitHits: pod.Unmeasured}
	if events, err := readTable(dir, "pids.events"); err == nil {
		s.PIDs.LimitHits = events.orZero("max")
	}
	return errors.Join(err1, err2)
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
	if err := m.readWorkingSet(at, &s); err != nil {
		return 0, fmt.Errorf("read memory use of cgroup %s: %w", at, err)
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
	mount, ok := m.layout.hierarchy(ctlMemory)
	if !ok {
		return 0, nil
	}
	name := "memory.oom_control"
	if m.layout.mode == V2 {
		name = "memory.events"
	}
	stat, err := readTable(filepath.Join(mount, at), name)
	if err != nil {
		return 0, fmt.Errorf("read OOM kills of cgroup %s: %w", at, err)
	}
	return stat.orZero("oom_kill"), nil
}
