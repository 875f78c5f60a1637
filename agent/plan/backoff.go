package plan

import (
	"time"

	"github.com/podstead/podstead/pod"
)

// backoff is base·2ⁿ⁻¹, at most limit, for the n-th failure in a row (n ≥ 1).
func backoff(base, limit time.Duration, n int) time.Duration {
	d := base
	for ; n > 1 && d < limit; n-- {
		d *= 2
	}
	return min(d, limit)
}

// restart says when a dead run may be followed by the next, and with how many
// back-off steps that one is then charged. The first restart is at once, then
// base, doubling; a run that lasted RestartReset starts anew (the kubelet's
// crash loop back-off, counted from the last exit).
func (s Settings) restart(dead *pod.Container) (at pod.Moment, failures int) {
	ended := dead.Exit.At.Moment
	ran := time.Duration(0)
	if !dead.Started.IsZero() {
		ran = ended.Sub(dead.Started.Moment)
	}
	if dead.Failures == 0 || ran >= s.RestartReset {
		return ended, 1
	}
	return ended.Add(backoff(s.RestartBase, s.RestartMax, dead.Failures)), dead.Failures + 1
}

// ready tells whether an action that failed before may be tried again; if
// not, a wake-up is asked for.
func (p *planner) ready(a Action) bool {
	f, failed := p.have.Failed[a.Name()]
	if !failed {
		return true
	}
	base, limit := p.RetryBase, p.RetryMax
	if f.Full {
		limit = p.FullMax
	}
	if _, pull := a.(Pull); pull {
		base, limit = p.PullBase, p.PullMax
	}
	at := f.At.Add(backoff(base, limit, f.Count))
	if p.now >= at {
		return true
	}
	p.wakeAt(at)
	return false
}

// try does an action unless its back-off runs.
func (p *planner) try(a Action) {
	if p.ready(a) {
		p.do(a)
	}
}
