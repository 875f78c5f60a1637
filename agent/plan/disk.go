package plan

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/pod"
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

// Evictions are the instances of a pod that were ended in a row because they
// outgrew their disk. They are counted in memory only: after a restart of
// podstead the back-off begins anew, which costs an instance or two.
type Evictions struct {
	Count int
	// At is when the last one was gone.
	At pod.Moment
	// Reason is what it was ended for.
	Reason string
}

// Evicted counts one more. A pod that went well for RestartReset since it was
// let in again starts anew.
func (s Settings) Evicted(before Evictions, reason string, now pod.Moment) Evictions {
	if before.Count > 0 && now.Sub(s.readmission(before)) >= s.RestartReset {
		before.Count = 0
	}
	return Evictions{Count: before.Count + 1, At: now, Reason: reason}
}

// readmission is when a pod that was evicted may come again: at once the first
// time, then after the back-off of restarts.
func (s Settings) readmission(e Evictions) pod.Moment {
	if e.Count < 2 {
		return e.At
	}
	return e.At.Add(backoff(s.RestartBase, s.RestartMax, e.Count-1))
}

// banned tells whether the pod waits because it was evicted again and again,
// until when, and why.
func (p *planner) banned() (at pod.Moment, why string, waits bool) {
	e := p.have.Evicted
	at = p.readmission(e)
	if p.now >= at {
		return at, "", false
	}
	return at, fmt.Sprintf("back-off %s after %d evictions in a row, the last one: %s", at.Sub(e.At).Round(time.Second), e.Count, e.Reason), true
}

func diskLimit(v *corev1.Volume) *resource.Quantity {
	if v.EmptyDir == nil || v.EmptyDir.Medium != corev1.StorageMediumDefault {
		return nil
	}
	return v.EmptyDir.SizeLimit
}
