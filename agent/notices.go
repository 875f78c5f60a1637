package agent

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// notice is what others found about a pod that they know by its uid.
type notice struct {
	uid types.UID
	// reason and message are those of a warning, empty for a pod that is cut
	// off.
	reason, message string
}

// CutOff says that somebody removed the link of a pod: it is connected anew.
// What is said before containerd was listed for the first time is done then.
func (a *Agent) CutOff(uid types.UID) {
	a.send(func(l *loop) { l.notice(notice{uid: uid}) })
}

// WarnPod records a warning about the pod of an instance among the events,
// with the pod's name before the message, or about the node if no pod has that
// uid. What is said before containerd was listed for the first time is
// recorded then.
func (a *Agent) WarnPod(uid types.UID, reason, message string) {
	a.send(func(l *loop) { l.notice(notice{uid, reason, message}) })
}

func (l *loop) notice(n notice) {
	if !l.swept {
		if !slices.Contains(l.early, n) {
			l.early = append(l.early, n)
		}
		return
	}
	key, number, known := l.instanceOf(n.uid)
	switch {
	case n.reason == "" && known:
		ps := l.pods[key]
		if _, ok := ps.sandboxes[number]; ok {
			ps.unwired[number], l.dirty[key] = true, true
		}
	case n.reason == "":
	case known:
		l.event(key, warning, n.reason, fmt.Sprintf("pod %s: %s", key, n.message))
	default:
		l.event(pod.Key{}, warning, n.reason, fmt.Sprintf("pod with uid %s: %s", n.uid, n.message))
	}
}

// noticeEarly does what was said before anything was known of pods.
func (l *loop) noticeEarly() {
	early := l.early
	l.early = nil
	for _, n := range early {
		l.notice(n)
	}
}

// instanceOf finds the pod and the number of its instance that has a uid.
func (l *loop) instanceOf(uid types.UID) (pod.Key, int, bool) {
	for key, ps := range l.pods {
		for number, s := range ps.sandboxes {
			if s.UID == uid {
				return key, number, true
			}
		}
		for number := range ps.begun {
			if l.uid(pod.Instance{Key: key, Number: number}) == uid {
				return key, number, true
			}
		}
	}
	return pod.Key{}, 0, false
}
