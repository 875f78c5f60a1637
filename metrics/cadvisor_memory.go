package metrics

import (
	"strconv"

	"github.com/podstead/podstead/pod"
)

// ofMemory is a family with one number of a subject's memory.
func ofMemory(name string, kind metricKind, help string, get func(m *pod.MemoryStats) int64) family {
	return ofSubject(name, kind, help, func(s *subject, _ *view) (float64, bool) {
		if s.stats.Memory == nil {
			return 0, false
		}
		return number(get(s.stats.Memory))
	})
}

func memoryFamilies() []family {
	return []family{
		ofMemory("container_memory_usage_bytes", gauge, "All memory that is charged, page cache included.", func(m *pod.MemoryStats) int64 { return m.Usage }),
		ofMemory("container_memory_working_set_bytes", gauge, "Memory that can't be given back: usage less inactive page cache. At the limit the kernel kills.",
			func(m *pod.MemoryStats) int64 { return m.WorkingSet }),
		ofMemory("container_memory_rss", gauge, "Anonymous memory, in bytes.", func(m *pod.MemoryStats) int64 { return m.RSS }),
		ofMemory("container_memory_cache", gauge, "Page cache, in bytes.", func(m *pod.MemoryStats) int64 { return m.Cache }),
		ofMemory("container_memory_swap", gauge, "Swap space used, in bytes.", func(m *pod.MemoryStats) int64 { return m.Swap }),
		ofMemory("container_memory_mapped_file", gauge, "Mapped page cache, in bytes.", func(m *pod.MemoryStats) int64 { return m.Mapped }),
		ofMemory("container_memory_kernel_usage", gauge, "Memory that the kernel holds, in bytes.", func(m *pod.MemoryStats) int64 { return m.Kernel }),
		ofMemory("container_memory_max_usage_bytes", gauge, "The most memory that was ever charged.", func(m *pod.MemoryStats) int64 { return m.Peak }),
		ofMemory("container_memory_total_active_file_bytes", gauge, "Page cache in active use.", func(m *pod.MemoryStats) int64 { return m.ActiveFile }),
		ofMemory("container_memory_total_inactive_file_bytes", gauge, "Page cache that can be given back.", func(m *pod.MemoryStats) int64 { return m.InactiveFile }),
		ofMemory("container_memory_failcnt", counter, "Times that the memory limit was reached.", func(m *pod.MemoryStats) int64 { return m.LimitHits }),
		ofMemory("container_memory_events_high_total", counter, "Times that tasks were throttled for memory.high. cgroup v2 only.", func(m *pod.MemoryStats) int64 { return m.HighEvents }),
		ofMemory("container_memory_workingset_refault_file_total", counter, "Page cache that was read again soon after it was given back. cgroup v2 only.", func(m *pod.MemoryStats) int64 { return m.RefaultFile }),
		ofMemory("container_memory_workingset_refault_anon_total", counter, "Anonymous memory that was read again soon after it was swapped out. cgroup v2 only.", func(m *pod.MemoryStats) int64 { return m.RefaultAnon }),
		ofMemory("container_memory_pgscan_total", counter, "Pages that were looked at to find memory to give back. cgroup v2 only.", func(m *pod.MemoryStats) int64 { return m.PageScan }),
		ofMemory("container_memory_file_dirty_bytes", gauge, "Page cache that is not yet written. cgroup v2 only.", func(m *pod.MemoryStats) int64 { return m.Dirty }),
		ofSubject("container_memory_events_max_total", counter, "Times that the memory limit was reached. cgroup v2 only.", func(s *subject, _ *view) (float64, bool) {
			if s.stats.Memory == nil || s.stats.Memory.HighEvents == pod.Unmeasured {
				return 0, false
			}
			return number(s.stats.Memory.LimitHits)
		}),
		{name: "container_memory_failures_total", kind: counter, help: "Page faults: of the cgroup alone, and with those below it (on cgroup v2 both say the latter).",
			labels: with("failure_type", "scope"), each: over(pageFaults)},
		{name: "container_oom_events_total", kind: counter, help: "Processes that the kernel killed for want of memory, in this run and those before it that podstead saw. Shown between two runs as well.",
			labels: subjectLabels, each: oomEvents},
	}
}

func pageFaults(s *subject, _ *view, row emit) {
	m := s.stats.Memory
	if m == nil || m.PageFaults == pod.Unmeasured {
		return
	}
	row(float64(m.OwnPageFaults), s.labels, "pgfault", "container")
	row(float64(m.PageFaults), s.labels, "pgfault", "hierarchy")
	row(float64(m.OwnMajorFaults), s.labels, "pgmajfault", "container")
	row(float64(m.MajorFaults), s.labels, "pgmajfault", "hierarchy")
}

// oomEvents yields the kills in what runs, and those of containers between two
// runs: one that is killed soon after each start would never be seen otherwise.
func oomEvents(v *view, row emit) {
	for i := range v.subjects {
		s := &v.subjects[i]
		if s.stats.Memory == nil || s.stats.Memory.OOMKills == pod.Unmeasured {
			continue
		}
		n := float64(s.stats.Memory.OOMKills)
		if s.container != nil {
			n += float64(s.container.OOMKills)
		}
		row(n, s.labels)
	}
	for i := range v.snap.Pods {
		p := &v.snap.Pods[i]
		for j := range p.Containers {
			if c := &p.Containers[j]; c.OOMKills > 0 && !running(c) && c.Role != pod.RolePause {
				row(float64(c.OOMKills), containerLabels(p, c, statusOf(p.Pod, c.Name)))
			}
		}
	}
}

func specFamilies() []family {
	memory := func(name, help string, get func(s *subject) int64) family {
		return ofSubject(name, gauge, help, func(s *subject, _ *view) (float64, bool) {
			if s.resources == nil || s.resources.Memory == nil {
				return 0, false
			}
			return float64(max(0, get(s))), true
		})
	}
	limit := func(s *subject) int64 {
		if s.resources.Memory.Limit == nil {
			return 0
		}
		return *s.resources.Memory.Limit
	}
	return []family{
		ofSubject("container_spec_cpu_quota", gauge, "The CPU limit: microseconds in each period. Only with a limit.", func(s *subject, _ *view) (float64, bool) {
			if s.container == nil || !s.hasQuota() {
				return 0, false
			}
			return float64(*s.resources.CPU.Quota), true
		}),
		ofSubject("container_spec_cpu_period", gauge, "The period of the CPU limit, in microseconds.", func(s *subject, _ *view) (float64, bool) {
			if s.resources == nil || s.resources.CPU == nil || s.resources.CPU.Period == nil {
				return 0, false
			}
			return float64(*s.resources.CPU.Period), true
		}),
		ofSubject("container_spec_cpu_shares", gauge, "The share of CPU under contention; 1024 for a requested core.", func(s *subject, _ *view) (float64, bool) {
			if s.resources == nil || s.resources.CPU == nil || s.resources.CPU.Shares == nil {
				return 0, false
			}
			return float64(*s.resources.CPU.Shares), true
		}),
		memory("container_spec_memory_limit_bytes", "The memory limit; 0 for none.", limit),
		memory("container_spec_memory_swap_limit_bytes", "The limit of memory and swap together; 0 for none.", func(s *subject) int64 {
			swap, text := limit(s), s.resources.Unified["memory.swap.max"]
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && swap > 0 {
				return swap + n
			}
			if s.resources.Memory.Swap != nil {
				return *s.resources.Memory.Swap
			}
			return 0
		}),
		memory("container_spec_memory_reservation_limit_bytes", "The soft memory limit, which podstead does not set: 0.", func(*subject) int64 { return 0 }),
	}
}
