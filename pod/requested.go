package pod

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// HoldsRoom tells whether a pod counts against what pods may request: its work
// is not over, and nothing keeps it from its start.
func HoldsRoom(p *corev1.Pod) bool {
	s := &p.Status
	over := s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed
	return !over && !strings.HasPrefix(s.Reason, "Insufficient") && s.Reason != "PortConflict"
}

// Requested adds up what pods request of cpu and memory, as far as they hold
// room. Of a pod with several instances the one that requests the most counts.
func (s *Snapshot) Requested() corev1.ResourceList {
	most := map[Key]corev1.ResourceList{}
	for i := range s.Pods {
		v := &s.Pods[i]
		if !HoldsRoom(v.Pod) {
			continue
		}
		has := most[v.Instance.Key]
		if has == nil {
			has = corev1.ResourceList{}
			most[v.Instance.Key] = has
		}
		for name, q := range Requests(v.Pod) {
			if old := has[name]; q.Cmp(old) > 0 {
				has[name] = q
			}
		}
	}
	total := corev1.ResourceList{}
	for _, requests := range most {
		Add(total, requests)
	}
	return total
}

// Add adds the quantities of a list to a sum.
func Add(sum, list corev1.ResourceList) {
	for name, q := range list {
		total := sum[name]
		total.Add(q)
		sum[name] = total
	}
}

// Amount writes a quantity as manifests do, memory of no round number in Mi.
func Amount(q resource.Quantity, name corev1.ResourceName) string {
	const mebi = 1 << 20
	if name == corev1.ResourceMemory && q.Value() >= mebi && q.Value()%mebi != 0 {
		return fmt.Sprintf("%dMi", q.Value()/mebi)
	}
	return q.String()
}
