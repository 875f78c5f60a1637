package cgroups

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// The values of oom_score_adj that do not depend on requests.
const (
	adjPause      = -998
	adjGuaranteed = -997
	adjBestEffort = 1000
)

// nodeCritical is the priority class whose pods the kernel kills last.
const nodeCritical = "system-node-critical"

// OOMScoreAdj returns the oom_score_adj of a container on a node with the
// given bytes of memory, by the formula of Kubernetes. A nil container is the
// pod's pause container.
func OOMScoreAdj(p *corev1.Pod, c *corev1.Container, memory int64) int {
	if c == nil {
		return adjPause
	}
	qos := pod.QOSClass(p)
	switch {
	case p.Spec.PriorityClassName == nodeCritical, qos == corev1.PodQOSGuaranteed:
		return adjGuaranteed
	case qos == corev1.PodQOSBestEffort:
		return adjBestEffort
	}
	request := requestsOf(c).memory
	if pod.RoleOf(p, c.Name) == pod.RoleSidecar {
		// A sidecar must not be killed before a container that it serves.
		request = max(request, smallestRequest(p))
	}
	return burstableAdj(request, memory)
}

func burstableAdj(request, memory int64) int {
	if memory <= 0 {
		return adjBestEffort - 1
	}
	adj := adjBestEffort - int(1000*(float64(min(request, memory))/float64(memory)))
	return min(max(adj, 1000+adjGuaranteed), adjBestEffort-1)
}

func smallestRequest(p *corev1.Pod) int64 {
	smallest := int64(-1)
	for i := range p.Spec.Containers {
		if r := requestsOf(&p.Spec.Containers[i]).memory; smallest < 0 || r < smallest {
			smallest = r
		}
	}
	return max(0, smallest)
}
