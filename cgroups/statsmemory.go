package cgroups

import (
	"errors"

	"github.com/podstead/podstead/pod"
)

func (m *Manager) readMemory(r *reader, at string, s *pod.CgroupStats) error {
	ok, err := m.enter(r, ctlMemory, at)
	if !ok {
		return err
	}
	read := readMemoryV1
	if m.layout.mode == V2 {
		read = readMemoryV2
	}
	stats, err := read(r)
	if m.unoffered(err) {
		return nil
	}
	stats.WorkingSet = max(0, stats.Usage-max(0, stats.InactiveFile))
	s.Memory = stats
	return err
}

// readWorkingSet reads what is charged, and what the cgroup can't give back
// of it.
func (m *Manager) readWorkingSet(r *reader, at string, s *pod.CgroupStats) error {
	ok, err := m.enter(r, ctlMemory, at)
	if !ok {
		return err
	}
	usage, inactive := "memory.usage_in_bytes", "total_inactive_file"
	if m.layout.mode == V2 {
		usage, inactive = "memory.current", "inactive_file"
	}
	used, err := r.number(usage)
	if m.unoffered(err) {
		return nil
	}
	stat, err1 := r.table("memory.stat")
	s.Memory = &pod.MemoryStats{Usage: used, WorkingSet: max(0, used-max(0, stat.get(inactive)))}
	return errors.Join(err, err1)
}

func readMemoryV2(r *reader) (*pod.MemoryStats, error) {
	var s pod.MemoryStats
	var err1, err2, err3 error
	if s.Usage, err1 = r.number("memory.current"); err1 != nil {
		return &s, err1
	}
	s.Swap, err2 = optional(r.number("memory.swap.current"))
	s.Peak, err3 = optional(r.number("memory.peak")) // since 5.19
	events, err4 := r.table("memory.events")
	s.OOMKills, s.LimitHits, s.HighEvents = events.get("oom_kill"), events.get("max"), events.get("high")
	stat, err5 := r.table("memory.stat")
	s.RSS, s.Cache, s.Mapped, s.Kernel = stat.get("anon"), stat.get("file"), stat.get("file_mapped"), stat.get("kernel")
	s.ActiveFile, s.InactiveFile, s.Dirty = stat.get("active_file"), stat.get("inactive_file"), stat.get("file_dirty")
	s.PageFaults, s.MajorFaults = stat.get("pgfault"), stat.get("pgmajfault")
	// The kernel gives no numbers without the cgroups below.
	s.OwnPageFaults, s.OwnMajorFaults = s.PageFaults, s.MajorFaults
	s.RefaultFile, s.RefaultAnon = stat.get("workingset_refault_file"), stat.get("workingset_refault_anon")
	s.PageScan = stat.get("pgscan")
	return &s, errors.Join(err2, err3, err4, err5)
}

func readMemoryV1(r *reader) (*pod.MemoryStats, error) {
	s := pod.MemoryStats{
		Dirty: pod.Unmeasured, HighEvents: pod.Unmeasured,
		RefaultFile: pod.Unmeasured, RefaultAnon: pod.Unmeasured, PageScan: pod.Unmeasured,
	}
	var err1, err2, err3, err4 error
	s.Usage, err1 = r.number("memory.usage_in_bytes")
	s.Peak, err2 = optional(r.number("memory.max_usage_in_bytes"))
	s.LimitHits, err3 = optional(r.number("memory.failcnt"))
	s.Kernel, err4 = optional(r.number("memory.kmem.usage_in_bytes"))
	oom, err5 := r.table("memory.oom_control")
	s.OOMKills = oom.get("oom_kill")
	stat, err6 := r.table("memory.stat")
	s.Swap, s.RSS, s.Cache, s.Mapped = stat.get("total_swap"), stat.get("total_rss"), stat.get("total_cache"), stat.get("total_mapped_file")
	s.ActiveFile, s.InactiveFile = stat.get("total_active_file"), stat.get("total_inactive_file")
	s.PageFaults, s.MajorFaults = stat.get("total_pgfault"), stat.get("total_pgmajfault")
	s.OwnPageFaults, s.OwnMajorFaults = stat.get("pgfault"), stat.get("pgmajfault")
	return &s, errors.Join(err1, err2, err3, err4, err5, err6)
}
