package volumes

import (
	"math"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// unbounded stands for the absence of a limit.
const unbounded int64 = math.MaxInt64

// memoryLimit is the memory that a pod can use at once, unbounded unless all
// its containers are limited: its containers and sidecars together, or what
// an init container needs beside the sidecars before it.
func memoryLimit(p *corev1.Pod) int64 {
	sidecars, start := int64(0), int64(0)
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		limit := c.Resources.Limits.Memory().Value()
		if limit <= 0 {
			return unbounded
		}
		if pod.InitRole(c) == pod.RoleSidecar {
			sidecars = add(sidecars, limit)
			start = max(start, sidecars)
			continue
		}
		start = max(start, add(sidecars, limit))
	}
	sum := sidecars
	for i := range p.Spec.Containers {
		limit := p.Spec.Containers[i].Resources.Limits.Memory().Value()
		if limit <= 0 {
			return unbounded
		}
		sum = add(sum, limit)
	}
	return max(sum, start)
}

func add(a, b int64) int64 {
	if a > unbounded-b {
		return unbounded
	}
	return a + b
}
