package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Requests is what a pod asks for of cpu and memory as Kubernetes counts it
// (KEP-753): its app containers and sidecars together, or the largest moment
// of its start, when an init container runs beside the sidecars before it.
func Requests(p *corev1.Pod) corev1.ResourceList {
	return sum(p, func(c *corev1.Container) corev1.ResourceList { return c.Resources.Requests })
}

// Limits is Requests for limits. It is only meaningful for a resource that
// every container limits.
func Limits(p *corev1.Pod) corev1.ResourceList {
	return sum(p, func(c *corev1.Container) corev1.ResourceList { return c.Resources.Limits })
}

func sum(p *corev1.Pod, of func(*corev1.Container) corev1.ResourceList) corev1.ResourceList {
	total := corev1.ResourceList{}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		var sidecars, peak resource.Quantity
		for i := range p.Spec.InitContainers {
			c := &p.Spec.InitContainers[i]
			now := sidecars.DeepCopy()
			now.Add(of(c)[name])
			if InitRole(c) == RoleSidecar {
				sidecars = now
			}
			if now.Cmp(peak) > 0 {
				peak = now
			}
		}
		steady := sidecars.DeepCopy()
		for i := range p.Spec.Containers {
			steady.Add(of(&p.Spec.Containers[i])[name])
		}
		if peak.Cmp(steady) > 0 {
			steady = peak
		}
		if !steady.IsZero() {
			total[name] = steady
		}
	}
	return total
}
