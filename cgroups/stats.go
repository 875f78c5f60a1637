package cgroups

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Stats is what a cgroup, with everything below it, used and met.
type Stats struct {
	// CPU is the processor time used since the cgroup was made.
	CPU time.Duration
	// Periods counts the periods in which a CPU quota applied, Throttled
	// those in which it was used up, ThrottledTime how long tasks waited.
	Periods, Throttled uint64
	ThrottledTime      time.Duration
	// Memory is all that is charged, in bytes; WorkingSet what can't be
	// given back: Memory less inactive page cache.
	Memory, WorkingSet int64
	// PIDs is the number of tasks.
	PIDs int64
}

// Stats reads a cgroup. What the host has no controller for stays 0. The
// error wraps fs.ErrNotExist when there is no such cgroup.
func (m *Manager) Stats(_ context.Context, at string) (Stats, error) {
	if err := m.inside(at); err != nil {
		return Stats{}, err
	}
	var s Stats
	err := errors.Join(m.readCPU(at, &s), m.readMemory(at, &s), m.readPIDs(at, &s))
	if err != nil {
		return Stats{}, fmt.Errorf("read statistics of cgroup %s: %w", at, err)
	}
	return s, nil
}

func (m *Manager) readCPU(at string, s *Stats) error {
	if mount, ok := m.layout.hierarchy(ctlCPU); ok {
		table, err := readTable(filepath.Join(mount, at), "cpu.stat")
		if err != nil {
			return err
		}
		s.Periods, s.Throttled = uint64(table["nr_periods"]), uint64(table["nr_throttled"])
		s.ThrottledTime = time.Duration(table["throttled_time"]) + time.Duration(table["throttled_usec"])*time.Microsecond
		s.CPU = time.Duration(table["usage_usec"]) * time.Microsecond
	}
	if m.layout.mode == V2 {
		return nil
	}
	mount, ok := m.layout.hierarchy(ctlAccount)
	if !ok {
		return nil
	}
	used, err := readNumber(filepath.Join(mount, at), "cpuacct.usage")
	s.CPU = time.Duration(used)
	return err
}

func (m *Manager) readMemory(at string, s *Stats) error {
	mount, ok := m.layout.hierarchy(ctlMemory)
	if !ok {
		return nil
	}
	usage, inactive := "memory.current", "inactive_file"
	if m.layout.mode != V2 {
		usage, inactive = "memory.usage_in_bytes", "total_inactive_file"
	}
	dir := filepath.Join(mount, at)
	table, err := readTable(dir, "memory.stat")
	if err != nil {
		return err
	}
	if s.Memory, err = readNumber(dir, usage); err != nil {
		return err
	}
	s.WorkingSet = max(0, s.Memory-table[inactive])
	return nil
}

func (m *Manager) readPIDs(at string, s *Stats) (err error) {
	mount, ok := m.layout.hierarchy(ctlPIDs)
	if !ok {
		return nil
	}
	s.PIDs, err = readNumber(filepath.Join(mount, at), "pids.current")
	return err
}

// MemoryUsage returns the bytes that a cgroup can't give back: what is
// charged less inactive page cache; 0 where the host does not count memory.
func (m *Manager) MemoryUsage(_ context.Context, at string) (int64, error) {
	if err := m.inside(at); err != nil {
		return 0, err
	}
	var s Stats
	if err := m.readMemory(at, &s); err != nil {
		return 0, fmt.Errorf("read memory use of cgroup %s: %w", at, err)
	}
	return s.WorkingSet, nil
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
	table, err := readTable(filepath.Join(mount, at), name)
	if err != nil {
		return 0, fmt.Errorf("read OOM kills of cgroup %s: %w", at, err)
	}
	return table["oom_kill"], nil
}
