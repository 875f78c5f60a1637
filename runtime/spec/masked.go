package spec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// unmasked tells that the pod asks to see all of /proc.
func (b *builder) unmasked() bool {
	return b.sc.ProcMount != nil && *b.sc.ProcMount == corev1.UnmaskedProcMount
}

// maskedPaths are empty in the container: they tell of the host or of other
// pods, or reach into the kernel. The list is the kubelet's.
func maskedPaths(cpus int) []string {
	paths := []string{
		"/proc/acpi",
		"/proc/asound",
		"/proc/interrupts",
		"/proc/kcore",
		"/proc/keys",
		"/proc/latency_stats",
		"/proc/sched_debug",
		"/proc/scsi",
		"/proc/timer_list",
		"/proc/timer_stats",
		"/sys/devices/virtual/powercap",
		"/sys/firmware",
	}
	for cpu := range cpus {
		paths = append(paths, fmt.Sprintf("/sys/devices/system/cpu/cpu%d/thermal_throttle", cpu))
	}
	return paths
}

// readonlyPaths are settings of the host's kernel.
func readonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}
