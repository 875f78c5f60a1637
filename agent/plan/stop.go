package plan

import (
	"fmt"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// ReasonDeadline marks containers that were stopped because the pod ran
// longer than spec.activeDeadlineSeconds. It is kept with them, so that the
// verdict stands after a restart of anything.
const ReasonDeadline = "DeadlineExceeded"

// never is a moment that does not come.
const never = pod.Moment(math.MaxInt64)

// unkillable is how long after a SIGKILL a process that still lives is
// reported.
const unkillable = 10 * time.Second

// end takes one step towards the end of an instance: signals in order, grace,
// SIGKILL, collection, teardown.
func (p *planner) end(l *life, reason string) {
	p.Leaving = append(p.Leaving, l.number)
	live := l.live()
	if len(live) == 0 {
		p.try(Teardown{Instance: l.number})
		p.noteFailure(Teardown{Instance: l.number}, "its teardown")
		return
	}
	since, grace := p.now, l.grace()
	if c := l.condemned(); c != nil {
		since, grace = c.Since.Moment, c.Grace
	} else if p.serves(l, never) {
		return
	}
	deadline := since.Add(grace)
	if h := p.want.Halt; h != nil {
		deadline = min(deadline, h.Deadline)
	}
	p.stopAll(l, live, pod.StopPod, deadline, grace, reason)
}

// serves tells whether an instance has to wait for its end until no Service
// sends it traffic any more. What breaks the network must not keep pods alive,
// so it waits only so long, and not beyond latest.
func (p *planner) serves(l *life, latest pod.Moment) bool {
	until, serving := p.have.Serving[l.number]
	until = min(until, latest)
	if !serving || p.now >= until {
		return false
	}
	p.wakeAt(until)
	return true
}

// finish stops what still runs of a pod whose work is over; its dead
// containers stay for people to look at.
func (p *planner) finish(l *life, reason string) {
	grace := l.grace()
	since := p.now
	live := l.live()
	for _, c := range live {
		if c.Stopping != nil && c.Stopping.Since.Moment < since {
			since = c.Stopping.Since.Moment
		}
	}
	p.stopAll(l, live, pod.StopContainer, since.Add(grace), grace, reason)
}

// stopAll gives every live container the next step of its stop. Sidecars and
// the pause container are signalled after those that may need them, or when
// the grace that all share is over.
func (p *planner) stopAll(l *life, live []*pod.Container, scope pod.StopScope, deadline pod.Moment, grace time.Duration, reason string) {
	for _, c := range live {
		switch c.State {
		case pod.StateCreated:
			p.try(Remove{ID: c.ID, Container: c.Name})
		case pod.StateExited:
			p.try(Reap{ID: c.ID, Container: c.Name})
		case pod.StateRunning:
			p.stopOne(l, c, scope, deadline, grace, reason)
		}
	}
}

func (p *planner) stopOne(l *life, c *pod.Container, scope pod.StopScope, deadline pod.Moment, grace time.Duration, reason string) {
	marked := signalled(c) && (c.Stopping.Scope == pod.StopPod || scope == pod.StopContainer)
	if marked {
		p.killWhenDue(c, deadline)
		return
	}
	stop := Stop{ID: c.ID, Container: c.Name, Scope: scope, Grace: grace, Reason: reason}
	// The hooks of all run at once, also of those whose turn comes later.
	if !p.preStopped(l, c, &stop, deadline) {
		return
	}
	if p.now >= deadline && grace > 0 || l.turn(c) {
		p.try(stop)
	} else if p.now < deadline {
		p.wakeAt(deadline)
	}
}

// stopContainer takes the next step in stopping one container of a pod that
// goes on. A stop that was begun is carried on as it was begun.
func (p *planner) stopContainer(l *life, c *pod.Container, s Stop) {
	if signalled(c) {
		p.killWhenDue(c, c.Stopping.Since.Moment.Add(c.Stopping.Grace))
		return
	}
	s.ID, s.Container, s.Scope = c.ID, c.Name, pod.StopContainer
	since := p.now
	if begun := c.Stopping; begun != nil {
		since = begun.Since.Moment
		s.Reason, s.Grace, s.Failure = begun.Reason, begun.Grace, begun.Failure
	}
	if p.preStopped(l, c, &s, since.Add(s.Grace)) {
		p.try(s)
	}
}

// signalled tells whether a container is known to have been told to stop.
func signalled(c *pod.Container) bool { return c.Stopping != nil && !c.Stopping.Signalled.IsZero() }

// killWhenDue sends SIGKILL when the grace is over, again and again.
func (p *planner) killWhenDue(c *pod.Container, deadline pod.Moment) {
	if c.Role == pod.RoleSidecar || c.Role == pod.RolePause || handler(c, pod.HookPreStop) != nil {
		deadline = max(deadline, c.Stopping.Signalled.Moment.Add(p.LateGrace))
	}
	if p.now < deadline {
		p.wakeAt(deadline)
		return
	}
	last, killed := p.have.Killed[c.ID]
	if killed && p.now < last.Add(p.KillRetry) {
		p.wakeAt(last.Add(p.KillRetry))
	} else {
		p.do(Kill{ID: c.ID, Container: c.Name})
	}
	if killed && p.now >= deadline.Add(unkillable) {
		p.note(fmt.Sprintf("container %s does not die after SIGKILL (UnkillableProcess): pid %d is tried again", c.Name, c.PID))
	}
}

// live lists the containers of which something may have to be ended.
func (l *life) live() []*pod.Container {
	var live []*pod.Container
	for i := range l.containers {
		if c := &l.containers[i]; c.Live() || c.State == pod.StateCreated {
			live = append(live, c)
		}
	}
	return live
}

// grace is the pod's terminationGracePeriodSeconds as last recorded.
func (l *life) grace() time.Duration {
	if r := l.recorded(); r != nil {
		return grace(r.Pod)
	}
	return grace(nil)
}

// grace is a pod's terminationGracePeriodSeconds, Kubernetes' default if it
// is not known.
func grace(p *corev1.Pod) time.Duration {
	if p == nil || p.Spec.TerminationGracePeriodSeconds == nil {
		return 30 * time.Second
	}
	return time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second
}

// turn tells whether it is a container's turn to be told to stop: init and
// app containers at once, sidecars after them and in reverse order of their
// start, the pause container last (KEP-753).
func (l *life) turn(c *pod.Container) bool {
	var sidecars []string
	if r := l.recorded(); r != nil {
		for i := range r.Pod.Spec.InitContainers {
			sidecars = append(sidecars, r.Pod.Spec.InitContainers[i].Name)
		}
	}
	rank := func(c *pod.Container) int {
		switch c.Role {
		case pod.RolePause:
			return len(sidecars) + 1
		case pod.RoleSidecar:
			return len(sidecars) - slices.Index(sidecars, c.Name)
		default:
			return 0
		}
	}
	for _, other := range l.live() {
		if other.ID != c.ID && rank(other) < rank(c) {
			return false
		}
	}
	return true
}

// noteFailure says why an operation does not succeed, if it failed.
func (p *planner) noteFailure(a Action, what string) {
	if f, failed := p.have.Failed[a.Name()]; failed {
		p.note(fmt.Sprintf("%s failed %d times and is tried again: %s", what, f.Count, f.Message))
	}
}
