package metrics

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// stateFamilies are those of kube-state-metrics.
func stateFamilies() []family {
	list := podFamilies()
	list = append(list, containerFamilies("kube_pod_container", false)...)
	list = append(list, containerFamilies("kube_pod_init_container", true)...)
	return slices.Concat(list, workloadFamilies(), kubeServiceFamilies(), nodeFamilies())
}

var podLabels = []string{"namespace", "pod", "uid"}

// ofPod is a family with rows for each pod.
func ofPod(name string, kind metricKind, help string, each func(p *pod.View, v *view, row func(value float64, extra ...string)), extra ...string) family {
	return family{
		name: name, kind: kind, help: help, labels: append(append([]string{}, podLabels...), extra...),
		each: func(v *view, row emit) {
			for i := range v.snap.Pods {
				p := &v.snap.Pods[i]
				base := []string{p.Instance.Namespace, p.Instance.Name, string(p.Pod.UID)}
				each(p, v, func(value float64, extra ...string) { row(value, base, extra...) })
			}
		},
	}
}

type rowOf = func(value float64, extra ...string)

func podFamilies() []family {
	return []family{
		ofPod("kube_pod_info", gauge, "About a pod; always 1.", podInfo,
			"host_ip", "pod_ip", "node", "created_by_kind", "created_by_name", "priority_class", "host_network"),
		ofPod("kube_pod_owner", gauge, "Who keeps a pod: a ReplicaSet or DaemonSet, or this node, as for static pods of Kubernetes; always 1.", func(p *pod.View, v *view, row rowOf) {
			kind, name := podOwner(p, v)
			row(1, kind, name, "true")
		}, "owner_kind", "owner_name", "owner_is_controller"),
		ofPod("kube_pod_created", gauge, "When the pod was made, as Unix time.", func(p *pod.View, _ *view, row rowOf) {
			row(unixTime(p.Pod.CreationTimestamp.Time))
		}),
		ofPod("kube_pod_start_time", gauge, "When the pod was begun, as Unix time.", func(p *pod.View, _ *view, row rowOf) {
			if t := p.Pod.Status.StartTime; t != nil {
				row(unixTime(t.Time))
			}
		}),
		ofPod("kube_pod_completion_time", gauge, "When the last container of a pod whose work is over ended, as Unix time.", completion),
		ofPod("kube_pod_deletion_timestamp", gauge, "When the end of a pod was begun, as Unix time.", func(p *pod.View, _ *view, row rowOf) {
			if t := p.Pod.DeletionTimestamp; t != nil {
				row(unixTime(t.Time))
			}
		}),
		ofPod("kube_pod_restart_policy", gauge, "The pod's restart policy; always 1.", func(p *pod.View, _ *view, row rowOf) {
			row(1, string(p.Pod.Spec.RestartPolicy))
		}, "type"),
		ofPod("kube_pod_ips", gauge, "An address of the pod; always 1.", podIPs, "ip", "ip_family"),
		ofPod("kube_pod_status_phase", gauge, "1 for the phase that the pod is in, 0 for the others.", func(p *pod.View, _ *view, row rowOf) {
			for _, phase := range []corev1.PodPhase{corev1.PodPending, corev1.PodSucceeded, corev1.PodFailed, corev1.PodRunning, corev1.PodUnknown} {
				row(boolean(p.Pod.Status.Phase == phase), string(phase))
			}
		}, "phase"),
		ofPod("kube_pod_status_ready", gauge, "1 for what is so of the pod being ready, 0 for the others.", conditionOf(corev1.PodReady), "condition"),
		ofPod("kube_pod_status_scheduled", gauge, "1 for what is so of the pod being scheduled, 0 for the others.", conditionOf(corev1.PodScheduled), "condition"),
		ofPod("kube_pod_status_reason", gauge, "Why the pod is as it is, where a reason is set; always 1.", func(p *pod.View, _ *view, row rowOf) {
			if reason := p.Pod.Status.Reason; reason != "" {
				row(1, podReason(reason))
			}
		}, "reason"),
		ofPod("kube_pod_status_qos_class", gauge, "1 for the pod's quality of service class, 0 for the others.", func(p *pod.View, _ *view, row rowOf) {
			for _, class := range []corev1.PodQOSClass{corev1.PodQOSBestEffort, corev1.PodQOSBurstable, corev1.PodQOSGuaranteed} {
				row(boolean(p.Pod.Status.QOSClass == class), string(class))
			}
		}, "qos_class"),
	}
}

// podOwner is who made a pod: the controller of one of a workload, or this node.
func podOwner(p *pod.View, v *view) (kind, name string) {
	if owner := metav1.GetControllerOf(p.Pod); owner != nil {
		return owner.Kind, owner.Name
	}
	return "Node", v.snap.Node.Name
}

func podInfo(p *pod.View, v *view, row rowOf) {
	host := "false"
	if p.Pod.Spec.HostNetwork {
		host = "true"
	}
	kind, name := podOwner(p, v)
	row(1, p.Pod.Status.HostIP, p.Pod.Status.PodIP, v.snap.Node.Name, kind, name, p.Pod.Spec.PriorityClassName, host)
}

func podIPs(p *pod.View, _ *view, row rowOf) {
	for _, ip := range p.Pod.Status.PodIPs {
		family := "4"
		if strings.Contains(ip.IP, ":") {
			family = "6"
		}
		row(1, ip.IP, family)
	}
}

func completion(p *pod.View, _ *view, row rowOf) {
	if phase := p.Pod.Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
		return
	}
	last := 0.0
	for i := range p.Pod.Status.ContainerStatuses {
		if end := p.Pod.Status.ContainerStatuses[i].State.Terminated; end != nil {
			last = max(last, unixTime(end.FinishedAt.Time))
		}
	}
	if last > 0 {
		row(last)
	}
}

func conditionOf(kind corev1.PodConditionType) func(*pod.View, *view, rowOf) {
	return func(p *pod.View, _ *view, row rowOf) {
		is := corev1.ConditionUnknown
		for _, c := range p.Pod.Status.Conditions {
			if c.Type == kind {
				is = c.Status
			}
		}
		row(boolean(is == corev1.ConditionTrue), "true")
		row(boolean(is == corev1.ConditionFalse), "false")
		row(boolean(is == corev1.ConditionUnknown), "unknown")
	}
}

// podReason keeps to the reasons that kube-state-metrics knows.
func podReason(reason string) string {
	switch reason {
	case "Evicted", "NodeAffinity", "NodeLost", "Shutdown", "UnexpectedAdmissionError", "TerminationByKubelet":
		return reason
	default:
		return "Other"
	}
}
