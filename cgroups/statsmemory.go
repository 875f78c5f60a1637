package cgroups

import (
	"errors"

	"github.com/podstead/podstead/pod"
)

func (m *Manager) readMemory(r *reader, at string, s *pod.CgroupStats) error {
	return m.readMemoryOf(r, at, s, true)
}

// readPodMemory reads no more than usage, its common parts and kills.
func (m *Manager) readPodMemory(r *reader, at string, s *pod.CgroupStats) error {
	return m.readMemoryOf(r, at, s, false)
}

func (m *Manager) readMemoryOf(r *reader, at string, s *pod.CgroupStats, whole bool) error {
	ok, err := m.enter(r, ctlMemory, at)
	if !ok {
		return err
	}
	read := readMemoryV1
	if m.layout.mode == V2 {
		read = readMemoryV2
	}
	stats := unmeasuredMemory()
	err = read(r, &stats, whole)
	if m.unoffered(err) {
		return nil
	}
	stats.WorkingSet = max(0, stats.Usage-max(0, stats.InactiveFile))
	s.Memory = &stats
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

func readMemoryV2(r *reader, s *pod.MemoryStats, whole bool) error {
	var err1, err2, err3 error
	if s.Usage, err1 = r.number("memory.current"); err1 != nil {
		return err1
	}
	s.Swap, err2 = optional(r.number("memory.swap.current"))
	if whole {
		s.Peak, err3 = optional(r.number("memory.peak")) // since 5.19
	}
	events, err4 := r.table("memory.events")
	s.OOMKills = events.get("oom_kill")
	if whole {
		s.LimitHits, s.HighEvents = events.get("max"), events.get("high")
	}
	stat, err5 := r.table("memory.stat")
	s.RSS, s.Cache, s.InactiveFile = stat.get("anon"), stat.get("file"), stat.get("inactive_file")
	if whole {
		s.Mapped, s.Kernel, s.ActiveFile, s.Dirty = stat.get("file_mapped"), stat.get("kernel"), stat.get("active_file"), stat.get("file_dirty")
		s.PageFaults, s.MajorFaults = stat.get("pgfault"), stat.get("pgmajfault")
		// The kernel gives no numbers without the cgroups below.
		s.OwnPageFaults, s.OwnMajorFaults = s.PageFaults, s.MajorFaults
		s.RefaultFile, s.RefaultAnon = stat.get("workingset_refault_file"), stat.get("workingset_refault_anon")
		s.PageScan = stat.get("pgscan")
	}
	return errors.Join(err2, err3, err4, err5)
}

func readMemoryV1(r *reader, s *pod.MemoryStats, whole bool) error {
	var err1, err2, err3, err4 error
	s.Usage, err1 = r.number("memory.usage_in_bytes")
	if whole {
		s.Peak, err2 = optional(r.number("memory.max_usage_in_bytes"))
		s.LimitHits, err3 = optional(r.number("memory.failcnt"))
		s.Kernel, err4 = optional(r.number("memory.kmem.usage_in_bytes"))
	}
	oom, err5 := r.table("memory.oom_control")
	s.OOMKills = oom.get("oom_kill")
	stat, err6 := r.table("memory.stat")
	s.Swap, s.RSS, s.Cache, s.InactiveFile = stat.get("total_swap"), stat.get("total_rss"), stat.get("total_cache"), stat.get("total_inactive_file")
	if whole {
		s.Mapped, s.ActiveFile = stat.get("total_mapped_file"), stat.get("total_active_file")
		s.PageFaults, s.MajorFaults = stat.get("total_pgfault"), stat.get("total_pgmajfault")
		s.OwnPageFaults, s.OwnMajorFaults = stat.get("pgfault"), stat.get("pgmajfault")
	}
	return errors.Join(err1, err2, err3, err4, err5, err6)
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
