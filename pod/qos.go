package pod

import (
	corev1 "k8s.io/api/core/v1"
)

// QOSClass is the pod's quality of service class by Kubernetes' rule:
// Guaranteed when every container limits both cpu and memory and requests
// just that, BestEffort when none requests or limits either, Burstable
// otherwise. A request that is left out is the limit.
func QOSClass(p *corev1.Pod) corev1.PodQOSClass {
	guaranteed, bestEffort := true, true
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			r := &list[i].Resources
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				limit := r.Limits[name]
				request, asked := r.Requests[name]
				if !asked {
					request = limit
				}
				if !request.IsZero() || !limit.IsZero() {
					bestEffort = false
				}
				if limit.IsZero() || request.Cmp(limit) != 0 {
					guaranteed = false
				}
			}
		}
	}
	switch {
	case bestEffort:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	default:
		return corev1.PodQOSBurstable
	}
}
