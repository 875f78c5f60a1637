package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// ErrResumed tells that a drain was called off.
var ErrResumed = errors.New("the drain was called off: pods go on")

// draining is a drain that was begun, and who waits for it.
type draining struct {
	plan.Drain
	begun time.Time // by the wall clock
	// again is when it has to be applied anew; 0 for never.
	again   pod.Moment
	waiters []chan error
}

// Drain stops every pod as d says, whatever the sources want from now on, and
// returns nil when that is done; d.Since is set to now. When ctx ends the drain
// goes on all the same; only Resume ends it, and what waits for it gets
// ErrResumed. A drain of the same kind that was begun already goes on as it
// was begun.
func (a *Agent) Drain(ctx context.Context, d plan.Drain) error {
	done := make(chan error, 1)
	a.send(func(l *loop) { l.beginDrain(d, done) })
	select {
	case err := <-done:
		return err
	case <-a.ended:
		return context.Canceled
	case <-ctx.Done():
		return ctx.Err()
	}
}

// BeginDrain is Drain without waiting for it. Before Run it lets nothing be
// started.
func (a *Agent) BeginDrain(d plan.Drain) { a.send(func(l *loop) { l.beginDrain(d, nil) }) }

// Resume ends a drain that removes nothing: what was stopped starts again. It
// does nothing when there is none.
func (a *Agent) Resume() { a.send((*loop).resume) }

func (l *loop) beginDrain(d plan.Drain, done chan error) {
	l.unmerged, l.unpublished = true, true
	l.allRestless()
	var waiters []chan error
	if l.drain != nil {
		waiters = l.drain.waiters
	}
	if done != nil {
		waiters = append(waiters, done)
	}
	if l.drain != nil && l.drain.Remove == d.Remove {
		l.drain.waiters = waiters
		return
	}
	now := l.cfg.Now()
	d.Since = now.Moment
	l.drain = &draining{Drain: d, begun: now.Wall, waiters: waiters}
	text := d.Reason + ": every pod is stopped"
	if !d.Remove {
		text += fmt.Sprintf(" within %s, critical ones in the last %s of it", d.GracePeriod, d.GracePeriodCriticalPods)
	}
	l.event(pod.Key{}, normal, "Draining", text)
}

func (l *loop) resume() {
	if l.drain == nil || l.drain.Remove {
		return
	}
	l.event(pod.Key{}, normal, "Resumed", "It is no longer so that "+l.drain.Reason+": pods go on")
	l.answerDrain(ErrResumed)
	l.drain = nil
	l.unmerged, l.unpublished = true, true
	l.allRestless()
}

func (l *loop) answerDrain(err error) {
	for _, done := range l.drain.waiters {
		done <- err
	}
	l.drain.waiters = nil
}

// applyDrain changes what is wanted of every pod while a drain is under way.
func (l *loop) applyDrain(wants map[pod.Key]plan.Want, now pod.Moment) {
	if l.drain == nil {
		return
	}
	pods := map[pod.Key]plan.Drained{}
	for key, ps := range l.pods {
		live := ps.livePod()
		known := live
		if known == nil && wants[key].Desired != nil {
			known = wants[key].Desired.Pod
		}
		pods[key] = plan.Drained{Live: ps.lives(), Critical: known != nil && plan.Critical(known)}
	}
	l.drain.again = l.drain.Apply(wants, pods, now)
}

// lives tells whether processes of the pod may exist.
func (ps *podState) lives() bool {
	for _, c := range ps.containers {
		if c.Live() {
			return true
		}
	}
	return false
}

// checkDrained answers those who wait once nothing is left to do.
func (l *loop) checkDrained() {
	if l.drain != nil && len(l.drain.waiters) > 0 && l.drained() {
		l.answerDrain(nil)
	}
}

func (l *loop) drained() bool {
	if !l.runtime.Up || l.unmerged {
		return false
	}
	if l.drain.Remove {
		return len(l.pods) == 0
	}
	for _, ps := range l.pods {
		if ps.lives() {
			return false
		}
	}
	return len(l.starting) == 0
}
