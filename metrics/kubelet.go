package metrics

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// kubeletFamilies are those of the kubelet's own page that podstead can fill
// truthfully.
func kubeletFamilies() []family {
	one := func(name string, kind metricKind, help string, value func(v *view) float64) family {
		return family{name: name, kind: kind, help: help, each: func(v *view, row emit) { row(value(v), nil) }}
	}
	counters := func(v *view) *pod.Counters { return &v.snap.Counters }
	return []family{
		{name: "kubelet_node_name", kind: gauge, help: "The name of this server; always 1.", labels: []string{"node"}, each: func(v *view, row emit) {
			row(1, []string{v.snap.Node.Name})
		}},
		one("kubelet_running_pods", gauge, "Pods with a running container.", func(v *view) float64 { n, _ := countRunning(v); return float64(n) }),
		{name: "kubelet_running_containers", kind: gauge, help: "Containers by state.", labels: []string{"container_state"}, each: func(v *view, row emit) {
			_, states := countRunning(v)
			for _, state := range []string{"exited", "running"} {
				row(float64(states[state]), []string{state})
			}
		}},
		{name: "kubelet_desired_pods", kind: gauge, help: "Pods that the sources want.", labels: []string{"static"}, each: func(v *view, row emit) {
			wanted := map[pod.Key]bool{}
			for i := range v.snap.Sources {
				for j := range v.snap.Sources[i].Pods {
					wanted[v.snap.Sources[i].Pods[j].Key] = true
				}
			}
			row(float64(len(wanted)), []string{"true"})
		}},
		{name: "kubelet_active_pods", kind: gauge, help: "Pods that are not over and are not being removed.", labels: []string{"static"}, each: func(v *view, row emit) {
			n := 0
			for i := range v.snap.Pods {
				p := v.snap.Pods[i].Pod
				if p.DeletionTimestamp == nil && (p.Status.Phase == corev1.PodPending || p.Status.Phase == corev1.PodRunning) {
					n++
				}
			}
			row(float64(n), []string{"true"})
		}},
		one("kubelet_started_pods_total", counter, "Pods of which all containers were started.", func(v *view) float64 { return float64(counters(v).StartSeconds.Count) }),
		one("kubelet_started_containers_total", counter, "Starts of containers, pause containers included.", func(v *view) float64 { return float64(counters(v).Operations["start"].Seconds.Count) }),
		one("kubelet_started_containers_errors_total", counter, "Starts of containers that failed.", func(v *view) float64 { return float64(counters(v).Operations["start"].Errors) }),
		collected("kubelet_image_garbage_collected_total", "Images that were removed: for space, or because of their age."),
		timing("kubelet_pod_start_duration_seconds", "Time from a pod being wanted to all its containers being started.", func(c *pod.Counters) pod.Histogram { return c.StartSeconds }),
		timing("kubelet_pleg_relist_duration_seconds", "How long it took to list everything that there is.", func(c *pod.Counters) pod.Histogram { return c.Relists }),
		timing("kubelet_pleg_relist_interval_seconds", "Time between two listings of everything.", func(c *pod.Counters) pod.Histogram { return c.RelistGaps }),
		ofOperation("kubelet_runtime_operations_total", "Operations on pods and containers.", func(o pod.OperationCounter) float64 { return float64(o.Seconds.Count) }),
		ofOperation("kubelet_runtime_operations_errors_total", "Operations on pods and containers that failed.", func(o pod.OperationCounter) float64 { return float64(o.Errors) }),
		{name: "kubelet_runtime_operations_duration_seconds", kind: histogram, help: "How long operations on pods and containers took.", labels: []string{"operation_type"},
			histograms: func(v *view, row emitHistogram) {
				for _, kind := range slices.Sorted(maps.Keys(v.snap.Counters.Operations)) {
					row(v.snap.Counters.Operations[kind].Seconds, kind)
				}
			}},
	}
}

func timing(name, help string, get func(c *pod.Counters) pod.Histogram) family {
	return family{name: name, kind: histogram, help: help, histograms: func(v *view, row emitHistogram) { row(get(&v.snap.Counters)) }}
}

func ofOperation(name, help string, get func(o pod.OperationCounter) float64) family {
	return family{name: name, kind: counter, help: help, labels: []string{"operation_type"}, each: func(v *view, row emit) {
		for _, kind := range slices.Sorted(maps.Keys(v.snap.Counters.Operations)) {
			row(get(v.snap.Counters.Operations[kind]), []string{kind})
		}
	}}
}

// countRunning counts pods with a running container, and containers by state.
func countRunning(v *view) (pods int, states map[string]int) {
	states = map[string]int{}
	for i := range v.snap.Pods {
		before := states["running"]
		for j := range v.snap.Pods[i].Containers {
			switch c := &v.snap.Pods[i].Containers[j]; {
			case c.Role == pod.RolePause:
			case c.PID != 0:
				states["running"]++
			default:
				states["exited"]++
			}
		}
		if states["running"] > before {
			pods++
		}
	}
	return pods, states
}
