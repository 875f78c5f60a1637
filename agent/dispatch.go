package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// dispatch begins an action unless its target is busy or no slot is free. In
// both cases the pod is decided again when that changes.
func (l *loop) dispatch(ps *podState, a plan.Action) {
	if pull, ok := a.(plan.Pull); ok {
		l.dispatchPull(ps, pull)
		return
	}
	if ps.busy[a.Target()] {
		return
	}
	if slots := l.slots(a); slots != nil {
		l.ask(ps.key)
		if *slots >= l.cfg.Starts {
			l.waiting = append(l.waiting, ps.key)
			return
		}
		if !l.mayRestart(ps, a) {
			return
		}
		*slots++
	}
	ps.busy[a.Target()] = true
	work, timeout, ended := l.operation(ps, a), l.timeout(a), l.timed(a)
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		applied, err := work(ctx)
		l.send(func(l *loop) {
			ended(err)
			l.finish(ps, a, applied, err)
		})
	})
}

// slots is the number of actions under way against whose limit an action
// counts, nil if it has none. What ends things never waits behind what begins
// them, nor the other way round.
func (l *loop) slots(a plan.Action) *int {
	switch a.(type) {
	case plan.Prepare, plan.Start:
		return &l.starts
	case plan.Teardown:
		return &l.teardowns
	default:
		return nil
	}
}

// timeout bounds an operation. Hooks take as long as they are given.
func (l *loop) timeout(a plan.Action) time.Duration {
	hook, ok := a.(plan.Hook)
	switch {
	case !ok:
		return l.cfg.OperationTimeout
	case hook.Deadline != 0:
		return hook.Deadline.Sub(l.cfg.Now().Moment)
	default:
		return maxHook
	}
}

// finish takes the result of an operation: what it found is believed, its
// failure is counted.
func (l *loop) finish(ps *podState, a plan.Action, applied fact, err error) {
	delete(ps.busy, a.Target())
	if slots := l.slots(a); slots != nil {
		*slots--
		l.wakeWaiting()
	}
	ps.rev++
	l.dirty[ps.key] = true
	l.storage.left(a, l.cfg.Now().Moment)
	if applied != nil {
		applied(l)
	}
	if s, ok := a.(plan.Start); ok {
		l.startEnded(ps, s)
	}
	if err != nil {
		l.fail(ps, a, err)
		return
	}
	delete(ps.failed, a.Name())
	l.succeeded(ps, a)
}

// wakeWaiting lets the pods that waited for a slot be decided again.
func (l *loop) wakeWaiting() {
	for _, key := range l.waiting {
		l.dirty[key] = true
	}
	l.waiting = l.waiting[:0]
	for key := range l.waitingWorkloads {
		l.restless[key] = true
	}
	clear(l.waitingWorkloads)
}

// inTurn lists the pods that are to be decided: first those that want slots,
// in the order in which they asked. A pod keeps its place until it has all it
// wants, also while it waits for an image, and pods that are restarted all the
// time keep no other from its start.
func (l *loop) inTurn() []pod.Key {
	maps.DeleteFunc(l.asked, func(key pod.Key, _ int) bool {
		ps := l.pods[key]
		busy := ps != nil && len(ps.busy) > 0
		return !busy && !l.dirty[key] && !slices.Contains(l.waiting, key) && !l.waitsForImage(key)
	})
	keys := sortedKeys(l.dirty)
	place := func(key pod.Key) int {
		if n, ok := l.asked[key]; ok {
			return n
		}
		return math.MaxInt
	}
	slices.SortStableFunc(keys, func(a, b pod.Key) int { return cmp.Compare(place(a), place(b)) })
	return keys
}

// ask gives a pod its place among those that want slots.
func (l *loop) ask(key pod.Key) {
	if _, ok := l.asked[key]; !ok {
		l.last++
		l.asked[key] = l.last
	}
}

// fail counts a failure against the operation, or, when nothing below could
// be asked at all, marks the runtime as down.
func (l *loop) fail(ps *podState, a plan.Action, err error) {
	if errors.Is(err, context.Canceled) {
		return // only the end of the agent cancels
	}
	if errors.Is(err, pod.ErrUnavailable) {
		l.runtimeDown(err)
		return
	}
	if start, ok := a.(plan.Start); ok && errors.Is(err, pod.ErrImageGone) {
		l.imageGone(start.Image.Digest)
	}
	f := l.failure(ps.failed[a.Name()], err)
	ps.failed[a.Name()] = f
	l.event(ps.key, warning, orDefault(f.Reason, "Failed"), f.Message)
}

// failure is what is kept of a failure that follows those before.
func (l *loop) failure(before plan.Failure, err error) plan.Failure {
	f := plan.Failure{Count: before.Count + 1, At: l.cfg.Now().Moment, Message: err.Error()}
	if refused, ok := errors.AsType[*pod.Refused](err); ok {
		f.Reason, f.Message = refused.Reason, refused.Message
	}
	if f.Full = pod.DiskFull(err); f.Full {
		l.storage.soon(f.At)
	}
	if room, ok := errors.AsType[*pod.NoRoom](err); ok {
		f.Need = room.Need
	}
	return f
}

// operation binds an action to everything that it needs, so that it runs
// without looking at the loop's state.
func (l *loop) operation(ps *podState, a plan.Action) func(context.Context) (fact, error) {
	switch a := a.(type) {
	case plan.Prepare:
		return l.prepare(ps, a)
	case plan.Start:
		return l.start(ps, a)
	case plan.Stop:
		return l.stop(ps, a)
	case plan.Hook:
		return l.hook(ps, a)
	case plan.Kill:
		return l.kill(ps, a)
	case plan.Reap:
		return l.reap(ps, a)
	case plan.Remove:
		return l.remove(ps, a)
	case plan.Amend:
		return l.amend(ps, a)
	case plan.Teardown:
		return l.teardown(ps, a)
	default:
		panic(fmt.Sprintf("agent: no operation for %T", a))
	}
}
