package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// deadlineExceeded tells whether the pod was or has to be stopped because of
// spec.activeDeadlineSeconds, counted from its begin.
func deadlineExceeded(l *life, spec *corev1.Pod, now pod.Moment) bool {
	for i := range l.containers {
		if s := l.containers[i].Stopping; s != nil && s.Reason == ReasonDeadline {
			return true
		}
	}
	at, limited := deadline(l, spec)
	return limited && now >= at
}

func deadline(l *life, spec *corev1.Pod) (at pod.Moment, limited bool) {
	if spec.Spec.ActiveDeadlineSeconds == nil || len(l.containers) == 0 {
		return 0, false
	}
	return l.began().Moment.Add(time.Duration(*spec.Spec.ActiveDeadlineSeconds) * time.Second), true
}

func (p *planner) wakeAtDeadline(l *life, spec *corev1.Pod) {
	if at, limited := deadline(l, spec); limited {
		p.wakeAt(at)
	}
}
