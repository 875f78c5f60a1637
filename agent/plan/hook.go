package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// handler is the hook of a container as last recorded, nil if it has none.
func handler(c *pod.Container, kind pod.ProbeKind) *corev1.LifecycleHandler {
	spec := c.Spec()
	if spec == nil || spec.Lifecycle == nil {
		return nil
	}
	if kind == pod.HookPreStop {
		return spec.Lifecycle.PreStop
	}
	return spec.Lifecycle.PostStart
}

// hooked tells whether a hook that was begun at a moment has ended, well or
// not; a container without it has none to wait for. A sleep needs nobody to
// carry it out: it is over when its time is.
func (p *planner) hooked(c *pod.Container, kind pod.ProbeKind, begun pod.Moment) bool {
	h := handler(c, kind)
	if h == nil {
		return true
	}
	if h.Sleep != nil {
		over := begun.Add(time.Duration(h.Sleep.Seconds) * time.Second)
		if p.now < over {
			p.wakeAt(over)
		}
		return p.now >= over
	}
	return p.outcome(c, kind) != pod.ProbeUnknown
}

func (p *planner) hook(l *life, c *pod.Container, kind pod.ProbeKind, deadline pod.Moment) {
	h := handler(c, kind)
	if h.Sleep != nil {
		return
	}
	p.try(Hook{ID: c.ID, Container: c.Name, Kind: kind, Handler: h, Spec: c.Spec(), Host: l.host(c), Deadline: deadline})
}

// postStart runs the hooks of the containers that were started.
func (p *planner) postStart(l *life) {
	for i := range l.containers {
		c := &l.containers[i]
		if c.State == pod.StateRunning && c.Stopping == nil && !p.hooked(c, pod.HookPostStart, c.Started.Moment) {
			p.hook(l, c, pod.HookPostStart, 0)
		}
	}
}

// preStopped takes the next step before the stop signal of a container and
// tells whether the signal may follow: the intent is recorded, then the
// preStop hook runs until the deadline, where the grace ends that counts from
// the intent (as in Kubernetes, where a grace of 0 leaves no room for it).
func (p *planner) preStopped(l *life, c *pod.Container, s *Stop, deadline pod.Moment) bool {
	if handler(c, pod.HookPreStop) == nil || s.Grace == 0 {
		return true
	}
	begun := c.Stopping
	if begun == nil || s.Scope == pod.StopPod && begun.Scope != pod.StopPod {
		if p.now >= deadline {
			return true
		}
		hold := *s
		hold.Hold = true
		p.try(hold)
		return false
	}
	s.Since = begun.Since
	if p.now >= deadline || p.hooked(c, pod.HookPreStop, begun.Since.Moment) {
		return true
	}
	p.wakeAt(deadline)
	p.hook(l, c, pod.HookPreStop, deadline)
	return false
}

// host is the address under which a container's ports are reached from here.
func (l *life) host(c *pod.Container) string {
	if c.Pod != nil && c.Pod.Spec.HostNetwork {
		return "127.0.0.1"
	}
	if l.sandbox != nil && len(l.sandbox.IPs) > 0 {
		return l.sandbox.IPs[0]
	}
	return ""
}
