package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Measured tells whether a pod has a limit on disk that has to be measured: an
// emptyDir with a sizeLimit that is not in memory, where the kernel holds it.
func Measured(p *corev1.Pod) bool {
	for i := range p.Spec.Volumes {
		if diskLimit(&p.Spec.Volumes[i]) != nil {
			return true
		}
	}
	return false
}

// Exceeded names the first volume that outgrew its limit, "" if none did.
// Kubernetes evicts such a pod; here a new instance follows it, with empty
// volumes.
func Exceeded(p *corev1.Pod, usage map[string]int64) string {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		limit := diskLimit(v)
		if limit == nil || usage[v.Name] <= limit.Value() {
			continue
		}
		used := resource.NewQuantity(usage[v.Name], resource.BinarySI)
		return fmt.Sprintf("Evicted: emptyDir volume %q uses %s, its sizeLimit is %s: the pod is replaced by a new one", v.Name, used, limit)
	}
	return ""
}

func diskLimit(v *corev1.Volume) *resource.Quantity {
	if v.EmptyDir == nil || v.EmptyDir.Medium != corev1.StorageMediumDefault {
		return nil
	}
	return v.EmptyDir.SizeLimit
}
