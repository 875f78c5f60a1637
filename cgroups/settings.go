package cgroups

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// none is the value of a limit that is not set.
const none = -1

// settings are the limits of one cgroup, independent of the version.
type settings struct {
	// shares is in units of cgroup v1: 2 to 262144.
	shares uint64
	// quota is in microseconds per quotaPeriod, none for no limit.
	quota int64
	// memory is in bytes, none for no limit.
	memory int64
	// pids is a number of tasks, none for no limit.
	pids int64
}

// podSettings converts a pod. As in Kubernetes, the pod as a whole is limited
// only in what all its containers are limited in.
func podSettings(p *corev1.Pod, maxPIDs int64) settings {
	s := settings{shares: shares(total(p, requestsOf).milliCPU), quota: none, memory: none, pids: maxPIDs}
	if maxPIDs <= 0 {
		s.pids = none
	}
	allCPU, allMemory := true, true
	every(p, func(c *corev1.Container) {
		limits := limitsOf(c)
		allCPU = allCPU && limits.milliCPU > 0
		allMemory = allMemory && limits.memory > 0
	})
	limits := total(p, limitsOf)
	if allCPU {
		s.quota = quota(limits.milliCPU)
	}
	if allMemory && limits.memory > 0 {
		s.memory = limits.memory
	}
	return s
}

// containerSettings converts a container; nil is a pause container.
func containerSettings(c *corev1.Container) settings {
	s := settings{shares: minShares, quota: none, memory: none, pids: none}
	if c == nil {
		return s
	}
	limits := limitsOf(c)
	s.shares = shares(requestsOf(c).milliCPU)
	s.quota = quota(limits.milliCPU)
	if limits.memory > 0 {
		s.memory = limits.memory
	}
	return s
}

// atLeast returns the larger of each setting; no limit is the largest.
func (s settings) atLeast(t settings) settings {
	return settings{
		shares: max(s.shares, t.shares),
		quota:  larger(s.quota, t.quota),
		memory: larger(s.memory, t.memory),
		pids:   larger(s.pids, t.pids),
	}
}

func larger(a, b int64) int64 {
	if a == none || b == none {
		return none
	}
	return max(a, b)
}

// spec puts settings into the form of an OCI runtime. Every setting is
// explicit, so that an update also takes limits away.
func (s settings) spec(v2, swap bool) *specs.LinuxResources {
	period := uint64(quotaPeriod)
	r := &specs.LinuxResources{
		CPU:    &specs.LinuxCPU{Shares: &s.shares, Quota: &s.quota, Period: &period},
		Memory: &specs.LinuxMemory{Limit: &s.memory},
	}
	if v2 {
		// Old runtimes convert shares by another formula than we do for the
		// pod; the last processes of a container die together.
		r.Unified = map[string]string{"cpu.weight": number(int64(weight(s.shares))), "memory.oom.group": "1"}
	}
	switch {
	case !swap:
	case v2:
		r.Unified["memory.swap.max"] = "0"
	default:
		// Memory and swap together: no swap beyond the limit.
		limit := s.memory
		r.Memory.Swap = &limit
	}
	return r
}
