package agent

import (
	"maps"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan/service"
	"github.com/podstead/podstead/pod"
)

// leaveTime is how long the end of a pod waits for its traffic to stop, if the
// network can't be set.
const leaveTime = 5 * time.Second

// noteLeaving takes note of the instances that are being ended.
func (ps *podState) noteLeaving(numbers []int, now pod.Moment) {
	before := ps.leaving
	ps.leaving = map[int]pod.Moment{}
	for _, n := range numbers {
		ps.leaving[n] = now
		if since, known := before[n]; known {
			ps.leaving[n] = since
		}
	}
}

// serving tells which instances get traffic by Services, and until when their
// end waits for that to stop.
func (l *loop) serving(ps *podState, now pod.Moment) map[int]pod.Moment {
	serving := map[int]pod.Moment{}
	for n, sandbox := range ps.sandboxes {
		since, leaving := ps.leaving[n]
		if !leaving {
			since = now
		}
		if len(sandbox.IPs) > 0 && l.services.serves(pod.Instance{Key: ps.key, Number: n}) {
			serving[n] = since.Add(leaveTime)
		}
	}
	return serving
}

// serves tells whether an instance may get traffic by what the network was set
// to: while nobody knows what a former podstead set, each may if there are
// Services.
func (s *services) serves(i pod.Instance) bool {
	if s.applied == nil {
		return len(s.wanted) > 0
	}
	return s.applied[i] || s.setting[i]
}

// servingNow takes note of what the network does now: who leaves can be ended.
func (l *loop) servingNow() {
	s := &l.services
	s.applied, s.setting = s.setting, nil
	if s.applied == nil {
		s.applied = map[pod.Instance]bool{}
	}
	for key, ps := range l.pods {
		if len(ps.leaving) > 0 {
			l.dirty[key] = true
		}
	}
}

// noteMembers takes note of what Services have to know of a pod.
func (l *loop) noteMembers(ps *podState) {
	var members []service.Pod
	for i := range ps.views {
		v := &ps.views[i]
		if m, ok := member(v); ok {
			if _, leaving := ps.leaving[v.Instance.Number]; leaving {
				m.Stopping = true
			}
			members = append(members, m)
		}
	}
	if !slices.EqualFunc(ps.members, members, sameMember) {
		ps.members, l.services.stale = members, true
	}
}

// member is a pod as Services see it; not ok for one that has no address or has
// finished.
func member(v *pod.View) (m service.Pod, ok bool) {
	st := &v.Pod.Status
	if len(st.PodIPs) == 0 || st.Phase == corev1.PodSucceeded || st.Phase == corev1.PodFailed {
		return m, false
	}
	m = service.Pod{
		Key: v.Instance.Key, Number: v.Instance.Number, UID: v.Pod.UID, Labels: v.Pod.Labels, Spec: &v.Pod.Spec,
		Stopping: v.Pod.DeletionTimestamp != nil,
	}
	for _, ip := range st.PodIPs {
		m.IPs = append(m.IPs, ip.IP)
	}
	for _, c := range st.Conditions {
		if c.Type == corev1.PodReady {
			m.Ready = c.Status == corev1.ConditionTrue
		}
	}
	return m, true
}

func sameMember(a, b service.Pod) bool {
	return a.Key == b.Key && a.Number == b.Number && a.UID == b.UID && a.Ready == b.Ready && a.Stopping == b.Stopping &&
		slices.Equal(a.IPs, b.IPs) && maps.Equal(a.Labels, b.Labels) && reflect.DeepEqual(a.Spec, b.Spec)
}
