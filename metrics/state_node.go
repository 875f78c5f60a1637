package metrics

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

func nodeFamilies() []family {
	of := func(name, help string, each func(v *view, row rowOf), extra ...string) family {
		return family{name: name, kind: gauge, help: help, labels: append([]string{"node"}, extra...), each: func(v *view, row emit) {
			base := []string{v.snap.Node.Name}
			each(v, func(value float64, extra ...string) { row(value, base, extra...) })
		}}
	}
	return []family{
		of("kube_node_info", "About this server; always 1.", func(v *view, row rowOf) {
			ip := ""
			if len(v.snap.Node.HostIPs) > 0 {
				ip = v.snap.Node.HostIPs[0]
			}
			row(1, v.cfg.Facts.Kernel, v.cfg.Facts.OS, "containerd://"+v.snap.Runtime.Version, v.cfg.Facts.Version, ip, v.snap.Node.ID)
		}, "kernel_version", "os_image", "container_runtime_version", "kubelet_version", "internal_ip", "machine_id"),
		of("kube_node_role", "The role of this server: worker; always 1.", func(_ *view, row rowOf) { row(1, "worker") }, "role"),
		of("kube_node_spec_unschedulable", "1 when no pods are taken: never.", func(_ *view, row rowOf) { row(0) }),
		of("kube_node_status_condition", "1 for what is so of a condition. Ready is whether containerd answers, DiskPressure whether a file system is short of room; pressure on memory and processes is not judged, so that it is unknown.",
			nodeConditions, "condition", "status"),
		of("kube_node_status_capacity", "What this server has.", func(v *view, row rowOf) { resourceRows(v.snap.Node.Capacity, nodeRow(row)) }, "resource", "unit"),
		of("kube_node_status_allocatable", "What this server has for pods.", func(v *view, row rowOf) { resourceRows(v.snap.Node.Allocatable, nodeRow(row)) }, "resource", "unit"),
		{name: "kube_namespace_status_phase", kind: gauge, help: "A namespace that has pods, workloads or Services; always 1.", labels: []string{"namespace", "phase"}, each: namespaces},
	}
}

func nodeRow(row rowOf) func(value float64, resource, unit string) {
	return func(value float64, resource, unit string) { row(value, resource, unit) }
}

func nodeConditions(v *view, row rowOf) {
	for _, c := range []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		is := corev1.ConditionUnknown
		switch {
		case c == corev1.NodeReady:
			is = holds(v.snap.Runtime.Up)
		case c == corev1.NodeDiskPressure && v.snap.Disk.Filesystems != nil:
			is = holds(v.snap.Disk.Pressure() != "")
		}
		row(boolean(is == corev1.ConditionTrue), string(c), "true")
		row(boolean(is == corev1.ConditionFalse), string(c), "false")
		row(boolean(is == corev1.ConditionUnknown), string(c), "unknown")
	}
}

func holds(is bool) corev1.ConditionStatus {
	if is {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

func namespaces(v *view, row emit) {
	seen := map[string]bool{}
	for i := range v.snap.Pods {
		seen[v.snap.Pods[i].Instance.Namespace] = true
	}
	for i := range v.snap.Workloads {
		seen[v.snap.Workloads[i].Namespace] = true
	}
	for i := range v.snap.Services {
		seen[v.snap.Services[i].Service.Namespace] = true
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		row(1, []string{name, "Active"})
	}
}
