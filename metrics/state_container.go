package metrics

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// ofStatus is a family with rows for each container, or init container, that
// has a status.
func ofStatus(name string, kind metricKind, help string, init bool, each func(st *corev1.ContainerStatus, row rowOf), extra ...string) family {
	return ofPod(name, kind, help, func(p *pod.View, _ *view, row rowOf) {
		list := p.Pod.Status.ContainerStatuses
		if init {
			list = p.Pod.Status.InitContainerStatuses
		}
		for i := range list {
			each(&list[i], func(value float64, extra ...string) { row(value, append([]string{list[i].Name}, extra...)...) })
		}
	}, append([]string{"container"}, extra...)...)
}

// containerFamilies are those of containers and, as twins, of init containers.
func containerFamilies(prefix string, init bool) []family {
	who := "container"
	if init {
		who = "init container"
	}
	of := func(name string, kind metricKind, help string, each func(st *corev1.ContainerStatus, row rowOf), extra ...string) family {
		return ofStatus(prefix+name, kind, help, init, each, extra...)
	}
	list := []family{
		ofPod(prefix+"_info", gauge, "About a "+who+"; always 1.", func(p *pod.View, _ *view, row rowOf) { containerInfo(p, init, row) },
			"container", "image", "image_id", "image_spec", "container_id"),
		of("_status_ready", gauge, "1 when the "+who+" is ready.", func(st *corev1.ContainerStatus, row rowOf) { row(boolean(st.Ready)) }),
		of("_status_running", gauge, "1 when the "+who+" runs.", func(st *corev1.ContainerStatus, row rowOf) { row(boolean(st.State.Running != nil)) }),
		of("_status_waiting", gauge, "1 when the "+who+" waits to be started.", func(st *corev1.ContainerStatus, row rowOf) { row(boolean(st.State.Waiting != nil)) }),
		of("_status_terminated", gauge, "1 when the "+who+" has ended for good.", func(st *corev1.ContainerStatus, row rowOf) { row(boolean(st.State.Terminated != nil)) }),
		of("_status_waiting_reason", gauge, "Why the "+who+" waits; always 1.", func(st *corev1.ContainerStatus, row rowOf) {
			if w := st.State.Waiting; w != nil && w.Reason != "" {
				row(1, w.Reason)
			}
		}, "reason"),
		of("_status_terminated_reason", gauge, "Why the "+who+" has ended; always 1.", func(st *corev1.ContainerStatus, row rowOf) {
			if t := st.State.Terminated; t != nil && t.Reason != "" {
				row(1, t.Reason)
			}
		}, "reason"),
		of("_status_last_terminated_reason", gauge, "Why the run before ended; always 1.", func(st *corev1.ContainerStatus, row rowOf) {
			if t := st.LastTerminationState.Terminated; t != nil && t.Reason != "" {
				row(1, t.Reason)
			}
		}, "reason"),
		of("_status_last_terminated_exitcode", gauge, "The exit code of the run before.", func(st *corev1.ContainerStatus, row rowOf) {
			if t := st.LastTerminationState.Terminated; t != nil {
				row(float64(t.ExitCode))
			}
		}),
		of("_status_last_terminated_timestamp", gauge, "When the run before ended, as Unix time.", func(st *corev1.ContainerStatus, row rowOf) {
			if t := st.LastTerminationState.Terminated; t != nil {
				row(unixTime(t.FinishedAt.Time))
			}
		}),
		of("_state_started", gauge, "When the "+who+" was started, as Unix time.", func(st *corev1.ContainerStatus, row rowOf) {
			switch {
			case st.State.Running != nil:
				row(unixTime(st.State.Running.StartedAt.Time))
			case st.State.Terminated != nil:
				row(unixTime(st.State.Terminated.StartedAt.Time))
			}
		}),
		of("_status_restarts_total", counter, "Restarts of the "+who+" in this life of the pod; kept when podstead is restarted.",
			func(st *corev1.ContainerStatus, row rowOf) { row(float64(st.RestartCount)) }),
	}
	for _, kind := range []struct {
		name, what string
		of         func(r *corev1.ResourceRequirements) corev1.ResourceList
	}{
		{"requests", "asks for", func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Requests }},
		{"limits", "may use at most", func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Limits }},
	} {
		list = append(list, ofPod(prefix+"_resource_"+kind.name, gauge, "What the "+who+" "+kind.what+", of its manifest.", func(p *pod.View, v *view, row rowOf) {
			for i := range specsOf(p.Pod, init) {
				c := &specsOf(p.Pod, init)[i]
				resourceRows(kind.of(&c.Resources), func(value float64, resource, unit string) {
					row(value, c.Name, v.snap.Node.Name, resource, unit)
				})
			}
		}, "container", "node", "resource", "unit"))
	}
	return list
}

func specsOf(p *corev1.Pod, init bool) []corev1.Container {
	if init {
		return p.Spec.InitContainers
	}
	return p.Spec.Containers
}

func containerInfo(p *pod.View, init bool, row rowOf) {
	specs := specsOf(p.Pod, init)
	for i := range specs {
		image, id, container := specs[i].Image, "", ""
		if st := statusOf(p.Pod, specs[i].Name); st != nil {
			image, id, container = st.Image, st.ImageID, st.ContainerID
		}
		row(1, specs[i].Name, image, id, specs[i].Image, container)
	}
}

// resourceRows yields what a list holds in kube-state-metrics' words.
func resourceRows(list corev1.ResourceList, row func(value float64, resource, unit string)) {
	for _, r := range []struct {
		name           corev1.ResourceName
		resource, unit string
	}{
		{corev1.ResourceCPU, "cpu", "core"},
		{corev1.ResourceMemory, "memory", "byte"},
		{corev1.ResourceEphemeralStorage, "ephemeral_storage", "byte"},
		{corev1.ResourcePods, "pods", "integer"},
	} {
		if q, ok := list[r.name]; ok {
			row(q.AsApproximateFloat64(), r.resource, r.unit)
		}
	}
}
