package plan

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// run takes the next steps to make an instance be as desired.
func (p *planner) run(l *life, d *pod.Desired) {
	p.collect(l)
	switch outcome(l, d.Pod, p.now) {
	case corev1.PodSucceeded, corev1.PodFailed:
		reason := "the pod's work is over"
		if deadlineExceeded(l, d.Pod, p.now) {
			reason = ReasonDeadline
		}
		p.finish(l, reason)
		return
	}
	if l.sandbox != nil {
		p.Notes = append(p.Notes, l.sandbox.Notes...)
	}
	p.wakeAtDeadline(l, d.Pod)
	p.rewire(l, d)
	p.postStart(l)
	p.stopChanged(l, d)
	p.amend(l, d)
	p.start(l, d)
	p.sweep(l)
}

// rewire connects a pod anew that somebody cut off. Its containers go on.
func (p *planner) rewire(l *life, d *pod.Desired) {
	if !p.have.Unwired[l.number] || l.sandbox == nil || !l.sandbox.Ready {
		return
	}
	a := Prepare{Instance: l.number, Desired: d}
	p.try(a)
	p.noteFailure(a, "its network, of which somebody removed the link, can't be made again: that")
}

// collect reaps exited containers: before that nothing follows them.
func (p *planner) collect(l *life) {
	for i := range l.containers {
		if c := &l.containers[i]; c.State == pod.StateExited {
			p.try(Reap{ID: c.ID, Container: c.Name})
		}
	}
}

// stopChanged stops the containers that can't go on as they are: changed in
// the manifest (once the new image is there), asked to restart by an
// operator, failed, or begun to be stopped before.
func (p *planner) stopChanged(l *life, d *pod.Desired) {
	for i := range l.containers {
		c := &l.containers[i]
		if c.State != pod.StateRunning {
			continue
		}
		failure := p.failure(c)
		switch field := containerChange(c, d.Pod); {
		case c.Stopping != nil:
			p.stopContainer(l, c, Stop{})
		case p.want.Restart[c.ID]:
			p.stopContainer(l, c, Stop{Grace: l.grace(), Reason: "a restart was asked for"})
		case failure.Reason != "":
			p.stopContainer(l, c, failure)
		case field != "" && p.hasImage(l, c.Name, d):
			p.stopContainer(l, c, Stop{Grace: l.grace(), Reason: "changed " + field})
		case field != "":
			p.note(fmt.Sprintf("container %s waits for its new image; the running version stays", c.Name))
		}
	}
}

// amend applies what can change in a running container.
func (p *planner) amend(l *life, d *pod.Desired) {
	var ids []string
	for i := range l.containers {
		c := &l.containers[i]
		if c.State == pod.StateRunning && c.Stopping == nil && c.Pod != nil &&
			containerChange(c, d.Pod) == "" && (p.have.LimitsLost || !sameRecord(c, d)) {
			ids = append(ids, c.ID)
		}
	}
	if len(ids) == 0 {
		return
	}
	a := Amend{Instance: l.number, Desired: d, IDs: ids}
	p.try(a)
	if f, failed := p.have.Failed[a.Name()]; failed {
		p.note(f.Message)
	}
}

// start begins the containers whose turn it is.
func (p *planner) start(l *life, d *pod.Desired) {
	due := p.due(l, d.Pod)
	if len(due) == 0 {
		return
	}
	if len(l.containers) == 0 && p.obstructed() {
		return
	}
	p.images(l.number, d, l)
	if l.sandbox == nil || !l.sandbox.Ready {
		p.prepare(l, d)
		return
	}
	// One is started at a time. Those that crash again and again are due again
	// before all others had their turn, and the first of them must not keep it.
	slices.SortStableFunc(due, func(a, b Start) int { return cmp.Compare(p.dueSince(l, a), p.dueSince(l, b)) })
	for _, s := range due {
		p.startOne(l, d, s)
	}
}

// dueSince is when a run could have started; 0 if it follows no failure.
func (p *planner) dueSince(l *life, s Start) pod.Moment {
	if s.Failures == 0 || s.Attempt == 0 {
		return 0
	}
	last := l.latest(s.Container)
	if last.State != pod.StateDead {
		return 0 // it was made and not started yet
	}
	at, _ := p.restart(last)
	return at
}

// obstructed tells whether the instance may not start yet, and notes why.
func (p *planner) obstructed() bool {
	for _, o := range []*Obstacle{p.want.Blocked, p.want.Waiting} {
		if o != nil {
			p.note(o.Message)
			return true
		}
	}
	return false
}

// prepare makes the sandbox. Containers that still run in a sandbox which was
// lost are stopped first: a pod's containers share one.
func (p *planner) prepare(l *life, d *pod.Desired) {
	live := l.live()
	for _, c := range live {
		if c.State == pod.StateRunning {
			p.stopContainer(l, c, Stop{Grace: l.grace(), Reason: "the pod's sandbox was lost"})
		}
	}
	if len(live) > 0 {
		return
	}
	a := Prepare{Instance: l.number, Desired: d}
	p.try(a)
	if f, failed := p.have.Failed[a.Name()]; failed {
		p.note(f.Message)
	}
}

func (p *planner) startOne(l *life, d *pod.Desired, s Start) {
	s.Instance, s.Desired = l.number, d
	if s.Role != pod.RolePause {
		img, ok := p.imageOf(l, s.Container, d)
		if !ok {
			return
		}
		s.Image = img
	}
	if pause := l.latestHere(pod.PauseName); pause != nil && s.Role != pod.RolePause {
		s.PausePID = pause.PID
	}
	p.try(s)
	if f, failed := p.have.Failed[s.Name()]; failed {
		p.note(fmt.Sprintf("container %s: %s", s.Container, f.Message))
	}
}

// sweep deletes the records of runs that nobody asks for any more: per
// container the latest run and the last dead one stay.
func (p *planner) sweep(l *life) {
	kept := map[string]bool{}
	for i := len(l.containers) - 1; i >= 0; i-- {
		c := &l.containers[i]
		if i == len(l.containers)-1 || l.containers[i+1].Name != c.Name {
			if c.State == pod.StateDead {
				kept[c.Name] = true
			}
			continue
		}
		if c.State != pod.StateDead {
			continue
		}
		if kept[c.Name] {
			p.try(Remove{ID: c.ID, Container: c.Name})
		}
		kept[c.Name] = true
	}
}
