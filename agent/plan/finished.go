package plan

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Finished tells whether a pod's work is over: its containers have ended and,
// as it is wanted now, none is started again. Such a pod takes no port and
// no part of the server's resources.
func Finished(w Want, h Have, now pod.Moment) bool {
	lives := instances(h)
	if len(lives) != 1 || w.Desired == nil {
		return false
	}
	p, l := planner{want: w, have: h, now: now}, &lives[0]
	recorded := l.recorded()
	return recorded != nil && !p.over(l) && len(l.live()) == 0 &&
		outcome(l, w.Desired.Pod, now) != corev1.PodRunning && p.replaceReason(l, recorded, w.Desired) == ""
}
