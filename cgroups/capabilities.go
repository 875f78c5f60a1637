package cgroups

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Capabilities is what this host can do with cgroups.
type Capabilities struct {
	Mode Mode
	// CPU, Memory and PIDs tell whether containers can be limited in them,
	// Swap whether they can be kept from swapping, Pressure whether stall
	// information is there.
	CPU, Memory, PIDs, Swap, Pressure bool
	// Missing has a sentence for each limit that can't be enforced.
	Missing []string
}

// Capabilities asks the host anew each time, since controllers come and go.
func (m *Manager) Capabilities() Capabilities {
	c := Capabilities{Mode: m.layout.mode, Swap: m.hasSwap()}
	for _, need := range []struct {
		controller, what string
		ok               *bool
	}{
		{ctlCPU, "CPU requests and limits are", &c.CPU},
		{ctlMemory, "memory limits are", &c.Memory},
		{ctlPIDs, "limits on the number of processes are", &c.PIDs},
	} {
		why := m.lacks(need.controller)
		if *need.ok = why == ""; !*need.ok {
			c.Missing = append(c.Missing, fmt.Sprintf("%s not enforced: %s", need.what, why))
		}
	}
	if m.layout.unified != "" {
		c.Pressure = exists(filepath.Join(m.layout.unified, "cpu.pressure")) || exists("/proc/pressure/cpu") && m.layout.mode == V2
	}
	return c
}

// lacks says why a controller can't be used, "" when it can.
func (m *Manager) lacks(controller string) string {
	mount, ok := m.layout.hierarchy(controller)
	if ok {
		if err := m.layout.writable(mount); err != nil {
			return fmt.Sprintf("cgroup controller %s: %v", controller, err)
		}
		return ""
	}
	if m.layout.mode == Hybrid {
		if have, err := readFields(filepath.Join(m.layout.unified, "cgroup.controllers")); err == nil {
			if slices.Contains(have, controller) {
				return fmt.Sprintf("cgroup controller %s is in the v2 hierarchy %s, while the others are v1: runtimes don't use it there", controller, m.layout.unified)
			}
		}
	}
	return fmt.Sprintf("the kernel offers no cgroup controller %s (cgroup %s at %s)", controller, m.layout.mode, m.cfg.Mountpoint)
}

// hasSwap tells whether swap is counted. The root of cgroup v2 has no file
// that would tell, so our own tree is asked.
func (m *Manager) hasSwap() bool {
	if m.layout.mode == V2 {
		return exists(filepath.Join(m.layout.unified, m.cfg.Root, "memory.swap.max"))
	}
	mount, ok := m.layout.hierarchy(ctlMemory)
	return ok && exists(filepath.Join(mount, "memory.memsw.limit_in_bytes"))
}

// Unenforced lists the limits that a pod asks for and this host can't
// enforce, one sentence each.
func (m *Manager) Unenforced(p *corev1.Pod) []string {
	var out []string
	every(p, func(c *corev1.Container) {
		limits := limitsOf(c)
		for _, l := range []struct {
			name, controller string
			wanted           bool
		}{
			{"cpu", ctlCPU, limits.milliCPU > 0},
			{"memory", ctlMemory, limits.memory > 0},
		} {
			if !l.wanted {
				continue
			}
			if why := m.lacks(l.controller); why != "" {
				q := c.Resources.Limits[corev1.ResourceName(l.name)]
				out = append(out, fmt.Sprintf("container %q: resources.limits.%s %s can't be enforced: %s", c.Name, l.name, q.String(), why))
			}
		}
	})
	return out
}

func (m *Manager) refuse(p *corev1.Pod) error {
	if m.cfg.AllowUnenforced {
		return nil
	}
	if lacks := m.Unenforced(p); len(lacks) > 0 {
		return &pod.Refused{Reason: "CreateContainerConfigError", Message: strings.Join(lacks, "; ") + "; the pod is not started"}
	}
	return nil
}
