package cgroups

import (
	"context"
	"errors"

	"github.com/podstead/podstead/pod"
)

// PodStats reads of a pod's cgroup what people ask of all its containers
// together: processor time, throttling, the common numbers of memory, kills,
// tasks with their limit, and pressure. Everything else is not measured: a pod's cgroup costs as
// much to read as a container's, and there are as many of them. The error
// wraps fs.ErrNotExist when there is no such cgroup.
func (m *Manager) PodStats(_ context.Context, at string) (pod.CgroupStats, error) {
	var s pod.CgroupStats
	err := m.readAll(at, &s, m.readThrottling, m.readCPUTime, m.readPodMemory, m.readTasks, m.readMaxTasks, m.readPressure)
	if s.CPU != nil {
		s.CPU.User, s.CPU.System = pod.Unmeasured, pod.Unmeasured
	}
	return s, err
}

func (m *Manager) readPodMemory(r *reader, at string, s *pod.CgroupStats) error {
	ok, err := m.enter(r, ctlMemory, at)
	if !ok {
		return err
	}
	read := readPodMemoryV1
	if m.layout.mode == V2 {
		read = readPodMemoryV2
	}
	stats := unmeasuredMemory()
	inactive, err := read(r, &stats)
	if m.unoffered(err) {
		return nil
	}
	stats.WorkingSet = max(0, stats.Usage-max(0, inactive))
	s.Memory = &stats
	return err
}

func readPodMemoryV2(r *reader, s *pod.MemoryStats) (inactive int64, err error) {
	var err1, err2 error
	if s.Usage, err1 = r.number("memory.current"); err1 != nil {
		return 0, err1
	}
	s.Swap, err2 = optional(r.number("memory.swap.current"))
	events, err3 := r.table("memory.events")
	s.OOMKills = events.get("oom_kill")
	stat, err4 := r.table("memory.stat")
	s.RSS, s.Cache = stat.get("anon"), stat.get("file")
	return stat.get("inactive_file"), errors.Join(err2, err3, err4)
}

func readPodMemoryV1(r *reader, s *pod.MemoryStats) (inactive int64, err error) {
	var err1 error
	s.Usage, err1 = r.number("memory.usage_in_bytes")
	oom, err2 := r.table("memory.oom_control")
	s.OOMKills = oom.get("oom_kill")
	stat, err3 := r.table("memory.stat")
	s.Swap, s.RSS, s.Cache = stat.get("total_swap"), stat.get("total_rss"), stat.get("total_cache")
	return stat.get("total_inactive_file"), errors.Join(err1, err2, err3)
}

// unmeasuredMemory has no number at all.
func unmeasuredMemory() pod.MemoryStats {
	const no = pod.Unmeasured
	return pod.MemoryStats{
		Usage: no, WorkingSet: no, RSS: no, Cache: no, Swap: no, Mapped: no, Kernel: no, Peak: no,
		ActiveFile: no, InactiveFile: no, Dirty: no, PageFaults: no, MajorFaults: no, OwnPageFaults: no, OwnMajorFaults: no,
		LimitHits: no, HighEvents: no, OOMKills: no, RefaultFile: no, RefaultAnon: no, PageScan: no,
	}
}
