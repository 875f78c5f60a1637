package cgroups

import (
	"errors"
	"path/filepath"

	"github.com/podstead/podstead/pod"
)

func (m *Manager) readMemory(at string, s *pod.CgroupStats) error {
	mount, ok := m.layout.hierarchy(ctlMemory)
	if !ok {
		return nil
	}
	read := readMemoryV1
	if m.layout.mode == V2 {
		read = readMemoryV2
	}
	stats, err := read(filepath.Join(mount, at))
	if err != nil {
		return err
	}
	stats.WorkingSet = max(0, stats.Usage-max(0, stats.InactiveFile))
	s.Memory = stats
	return nil
}

// readWorkingSet reads what is charged, and what the cgroup can't give back
// of it.
func (m *Manager) readWorkingSet(at string, s *pod.CgroupStats) error {
	mount, ok := m.layout.hierarchy(ctlMemory)
	if !ok {
		return nil
	}
	usage, inactive := "memory.usage_in_bytes", "total_inactive_file"
	if m.layout.mode == V2 {
		usage, inactive = "memory.current", "inactive_file"
	}
	dir := filepath.Join(mount, at)
	used, err1 := readNumber(dir, usage)
	stat, err2 := readTable(dir, "memory.stat")
	s.Memory = &pod.MemoryStats{Usage: used, WorkingSet: max(0, used-max(0, stat.get(inactive)))}
	return errors.Join(err1, err2)
}

func readMemoryV2(dir string) (*pod.MemoryStats, error) {
	usage, err1 := readNumber(dir, "memory.current")
	stat, err2 := readTable(dir, "memory.stat")
	events, err3 := readTable(dir, "memory.events")
	swap, err4 := optional(readNumber(dir, "memory.swap.current"))
	peak, err5 := optional(readNumber(dir, "memory.peak")) // since 5.19
	return &pod.MemoryStats{
		Usage: usage, Peak: peak, Swap: swap,
		RSS: stat.get("anon"), Cache: stat.get("file"), Mapped: stat.get("file_mapped"), Kernel: stat.get("kernel"),
		ActiveFile: stat.get("active_file"), InactiveFile: stat.get("inactive_file"), Dirty: stat.get("file_dirty"),
		PageFaults: stat.get("pgfault"), MajorFaults: stat.get("pgmajfault"),
		// The kernel gives no numbers without the cgroups below.
		OwnPageFaults: stat.get("pgfault"), OwnMajorFaults: stat.get("pgmajfault"),
		OOMKills: events.get("oom_kill"), LimitHits: events.get("max"), HighEvents: events.get("high"),
		RefaultFile: stat.get("workingset_refault_file"), RefaultAnon: stat.get("workingset_refault_anon"), PageScan: stat.get("pgscan"),
	}, errors.Join(err1, err2, err3, err4, err5)
}

func readMemoryV1(dir string) (*pod.MemoryStats, error) {
	usage, err1 := readNumber(dir, "memory.usage_in_bytes")
	stat, err2 := readTable(dir, "memory.stat")
	oom, err3 := readTable(dir, "memory.oom_control")
	peak, err4 := optional(readNumber(dir, "memory.max_usage_in_bytes"))
	hits, err5 := optional(readNumber(dir, "memory.failcnt"))
	kernel, err6 := optional(readNumber(dir, "memory.kmem.usage_in_bytes"))
	return &pod.MemoryStats{
		Usage: usage, Peak: peak, Kernel: kernel, Swap: stat.get("total_swap"),
		RSS: stat.get("total_rss"), Cache: stat.get("total_cache"), Mapped: stat.get("total_mapped_file"),
		ActiveFile: stat.get("total_active_file"), InactiveFile: stat.get("total_inactive_file"), Dirty: pod.Unmeasured,
		PageFaults: stat.get("total_pgfault"), MajorFaults: stat.get("total_pgmajfault"),
		OwnPageFaults: stat.get("pgfault"), OwnMajorFaults: stat.get("pgmajfault"),
		OOMKills: oom.get("oom_kill"), LimitHits: hits, HighEvents: pod.Unmeasured,
		RefaultFile: pod.Unmeasured, RefaultAnon: pod.Unmeasured, PageScan: pod.Unmeasured,
	}, errors.Join(err1, err2, err3, err4, err5, err6)
}
