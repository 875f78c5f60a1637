package agent

import (
	"slices"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// restarts bounds how many failed containers are restarted at a time on the
// whole server, so that a storm of them keeps no other pod from its start.
type restarts struct {
	bucket plan.Bucket
	// waiting are the pods that want a restart and had no turn: those that ran
	// well before at the front, the others in the order in which they asked.
	waiting []turn
	// at is when the first of them may have one.
	at pod.Moment
}

// turn is a pod that waits to restart a container that failed so often.
type turn struct {
	key      pod.Key
	failures int
}

func (r *restarts) queued(key pod.Key) bool {
	return slices.ContainsFunc(r.waiting, func(t turn) bool { return t.key == key })
}

// mayRestart takes a turn for the restart of a failed container, or lets its
// pod wait for one. Everything else needs none.
func (l *loop) mayRestart(ps *podState, a plan.Action) bool {
	start, ok := a.(plan.Start)
	if !ok || start.Failures == 0 {
		return true
	}
	r := &l.restarts
	after, at, ok := l.cfg.Settings.TakeRestart(r.bucket, start.Failures, l.cfg.Now().Moment)
	if ok {
		r.bucket = after
		return true
	}
	if len(r.waiting) == 0 || at < r.at {
		r.at = at
	}
	if !r.queued(ps.key) {
		place := len(r.waiting)
		if start.Failures == 1 {
			place = slices.IndexFunc(append(r.waiting, turn{}), func(t turn) bool { return t.failures != 1 })
		}
		r.waiting = slices.Insert(r.waiting, place, turn{ps.key, start.Failures})
	}
	return false
}

// nextRestarts lets as many pods ask again as there are turns.
func (l *loop) nextRestarts(now pod.Moment) {
	r := &l.restarts
	if now < r.at {
		return
	}
	for bucket := r.bucket; len(r.waiting) > 0; r.waiting = r.waiting[1:] {
		after, at, ok := l.cfg.Settings.TakeRestart(bucket, r.waiting[0].failures, now)
		if !ok {
			r.at = at
			return
		}
		bucket = after
		l.dirty[r.waiting[0].key] = true
	}
}
