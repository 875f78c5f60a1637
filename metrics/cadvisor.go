package metrics

import (
	"time"

	"github.com/podstead/podstead/pod"
)

// cadvisorFamilies are those of cAdvisor, for containers and pods.
func cadvisorFamilies() []family {
	all := [][]family{cpuFamilies(), memoryFamilies(), processFamilies(), specFamilies(), machineFamilies(), pressureFamilies(), ioFamilies(), diskFamilies(), networkFamilies()}
	var list []family
	for _, f := range all {
		list = append(list, f...)
	}
	return list
}

// ofSubject is a family of cAdvisor's with one value for each subject that has
// one.
func ofSubject(name string, kind metricKind, help string, value func(s *subject, v *view) (float64, bool)) family {
	return family{name: name, kind: kind, help: help, labels: subjectLabels, each: over(func(s *subject, v *view, row emit) {
		if n, ok := value(s, v); ok {
			row(n, s.labels)
		}
	})}
}

// with returns the labels of subjects and one more.
func with(labels ...string) []string { return append(append([]string{}, subjectLabels...), labels...) }

// number turns what the host may not measure into a value.
func number(n int64) (float64, bool) { return float64(n), n != pod.Unmeasured }

func cpuFamilies() []family {
	cpu := func(get func(c *pod.CPUStats) time.Duration) func(s *subject, v *view) (float64, bool) {
		return func(s *subject, _ *view) (float64, bool) {
			if s.stats.CPU == nil || get(s.stats.CPU) == pod.Unmeasured {
				return 0, false
			}
			return get(s.stats.CPU).Seconds(), true
		}
	}
	throttled := func(get func(c *pod.CPUStats) float64) func(s *subject, v *view) (float64, bool) {
		return func(s *subject, _ *view) (float64, bool) {
			if s.stats.CPU == nil || !s.hasQuota() {
				return 0, false
			}
			return get(s.stats.CPU), true
		}
	}
	return []family{
		{name: "container_cpu_usage_seconds_total", kind: counter, help: "Processor time used, by all processors together.", labels: with("cpu"),
			each: over(func(s *subject, _ *view, row emit) {
				if s.stats.CPU != nil {
					row(s.stats.CPU.Total.Seconds(), s.labels, "total")
				}
			})},
		ofSubject("container_cpu_user_seconds_total", counter, "Processor time used in user mode.", cpu(func(c *pod.CPUStats) time.Duration { return c.User })),
		ofSubject("container_cpu_system_seconds_total", counter, "Processor time used in the kernel.", cpu(func(c *pod.CPUStats) time.Duration { return c.System })),
		ofSubject("container_cpu_cfs_periods_total", counter, "Periods in which a CPU limit applied. Only with a limit.",
			throttled(func(c *pod.CPUStats) float64 { return float64(c.Periods) })),
		ofSubject("container_cpu_cfs_throttled_periods_total", counter, "Periods in which the CPU limit was used up. Only with a limit.",
			throttled(func(c *pod.CPUStats) float64 { return float64(c.Throttled) })),
		ofSubject("container_cpu_cfs_throttled_seconds_total", counter, "Time that tasks waited because the CPU limit was used up. Only with a limit.",
			throttled(func(c *pod.CPUStats) float64 { return c.ThrottledTime.Seconds() })),
	}
}

// hasQuota tells whether CPU is limited: of a container by its spec, of a pod
// by the kernel having counted.
func (s *subject) hasQuota() bool {
	if s.container == nil {
		return s.stats.CPU != nil && s.stats.CPU.Periods > 0
	}
	return s.resources != nil && s.resources.CPU != nil && s.resources.CPU.Quota != nil && *s.resources.CPU.Quota > 0
}

func processFamilies() []family {
	pids := func(get func(p *pod.PIDStats) int64) func(s *subject, v *view) (float64, bool) {
		return func(s *subject, _ *view) (float64, bool) {
			if s.stats.PIDs == nil {
				return 0, false
			}
			return number(get(s.stats.PIDs))
		}
	}
	sampled := func(get func(p pod.ProcessStats) int64) func(s *subject, v *view) (float64, bool) {
		return func(s *subject, v *view) (float64, bool) {
			if s.container == nil || v.disk == nil {
				return 0, false
			}
			p, ok := v.disk.processes[s.container.ID]
			return float64(get(p)), ok
		}
	}
	return []family{
		ofSubject("container_threads", gauge, "Tasks: threads of all processes.", pids(func(p *pod.PIDStats) int64 { return p.Current })),
		ofSubject("container_threads_max", gauge, "How many tasks there may be. Only with a limit.", pids(func(p *pod.PIDStats) int64 { return p.Max })),
		ofSubject("podstead_pids_limit_hits_total", counter, "How often a process or thread could not be begun because of a limit. The kernel counts it at the container or at the pod, by its version.", pids(func(p *pod.PIDStats) int64 { return p.LimitHits })),
		ofSubject("container_processes", gauge, "Processes, counted once a minute.", sampled(func(p pod.ProcessStats) int64 { return p.Processes })),
		ofSubject("container_file_descriptors", gauge, "Open file descriptors of the first 64 processes, counted once a minute.",
			sampled(func(p pod.ProcessStats) int64 { return p.FileDescriptors })),
		ofSubject("container_sockets", gauge, "Open sockets of the first 64 processes, counted once a minute.",
			sampled(func(p pod.ProcessStats) int64 { return p.Sockets })),
		ofSubject("container_start_time_seconds", gauge, "When the container was started, as Unix time.", started),
		ofSubject("container_last_seen", gauge, "When these statistics were read, as Unix time.", func(s *subject, v *view) (float64, bool) {
			if v.stats == nil || s.stats.CPU == nil {
				return 0, false
			}
			return unixTime(v.stats.at), true
		}),
	}
}

func started(s *subject, _ *view) (float64, bool) {
	if s.container == nil {
		if s.pod.Pod.Status.StartTime == nil {
			return 0, false
		}
		return unixTime(s.pod.Pod.Status.StartTime.Time), true
	}
	if s.status == nil || s.status.State.Running == nil {
		return 0, false
	}
	return unixTime(s.status.State.Running.StartedAt.Time), true
}

// unixTime is a time in seconds.
func unixTime(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func machineFamilies() []family {
	labels := []string{"boot_id", "machine_id", "system_uuid"}
	machine := func(name, help string, value func(v *view) (float64, bool)) family {
		return family{name: name, kind: gauge, help: help, labels: labels, each: func(v *view, row emit) {
			if n, ok := value(v); ok {
				row(n, []string{v.snap.Node.BootID, v.snap.Node.ID, ""})
			}
		}}
	}
	return []family{
		machine("machine_cpu_cores", "Processors of this server.", func(v *view) (float64, bool) {
			return v.snap.Node.Capacity.Cpu().AsApproximateFloat64(), true
		}),
		machine("machine_memory_bytes", "Memory of this server.", func(v *view) (float64, bool) {
			return float64(v.snap.Node.Capacity.Memory().Value()), true
		}),
		machine("machine_swap_bytes", "Swap space of this server.", func(v *view) (float64, bool) {
			if v.stats == nil || !v.stats.nodeRead {
				return 0, false
			}
			return float64(v.stats.node.Swap), true
		}),
	}
}
