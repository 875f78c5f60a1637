package plan

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// due lists the runs that may be started now, in order: the pause container,
// then init containers one by one (each has ended well before the next one
// starts) and sidecars (each has started, by its probe and hook, before the
// next one starts), then the app containers, each after the postStart hooks of
// those before it. Runs whose back-off is not over ask for a wake-up instead.
func (p *planner) due(l *life, spec *corev1.Pod) []Start {
	var due []Start
	if shared := spec.Spec.ShareProcessNamespace; shared != nil && *shared {
		if c := l.latestHere(pod.PauseName); !running(c) {
			return p.next(l, nil, spec, pod.PauseName, pod.RolePause)
		}
	}
	initialised := initialised(l, spec)
	for i := range spec.Spec.InitContainers {
		c := &spec.Spec.InitContainers[i]
		here, role := l.latestHere(c.Name), pod.InitRole(c)
		up := role == pod.RoleSidecar && running(here)
		if role == pod.RoleInit && (initialised || succeeded(here)) || up && (initialised || p.started(here)) {
			continue
		}
		if up {
			return due
		}
		due = p.next(l, due, spec, c.Name, role)
		if !initialised {
			return due
		}
	}
	for i := range spec.Spec.Containers {
		c := &spec.Spec.Containers[i]
		here, before := l.latestHere(c.Name), len(due)
		if running(here) && here.Stopping == nil && !p.hooked(here, pod.HookPostStart, here.Started.Moment) {
			break
		}
		due = p.next(l, due, spec, c.Name, pod.RoleApp)
		if len(due) > before && c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
			break
		}
	}
	return due
}

// next appends the next run of one container to due, if there is to be one
// and its time has come.
func (p *planner) next(l *life, due []Start, spec *corev1.Pod, name string, role pod.Role) []Start {
	last := l.latest(name)
	s := Start{Container: name, Role: role}
	switch {
	case last == nil:
	case last.State == pod.StateCreated && l.latestHere(name) != nil && containerChange(last, spec) == "":
		s.Attempt, s.Failures = last.Attempt, last.Failures
	case last.State == pod.StateCreated:
		p.try(Remove{ID: last.ID, Container: name})
		return due
	case last.State != pod.StateDead || done(l, last, spec):
		return due
	default:
		s.Attempt = last.Attempt + 1
		at, failures := p.restart(last)
		if fresh := l.latestHere(name) == nil || asked(last) || p.want.Restart[last.ID] || editedSince(last, spec); fresh {
			at, failures = p.now, 0
		}
		if p.now < at {
			p.wakeAt(at)
			return due
		}
		s.Failures = failures
	}
	return append(due, s)
}

// initialised tells whether the init containers of the present sandbox have
// done their work: an app container was made in it, even when the records of
// the init containers are gone.
func initialised(l *life, spec *corev1.Pod) bool {
	for i := range spec.Spec.Containers {
		if l.latestHere(spec.Spec.Containers[i].Name) != nil {
			return true
		}
	}
	return false
}

func running(c *pod.Container) bool { return c != nil && c.State == pod.StateRunning }

// succeeded tells whether a run did its work. One that was told to stop may say
// so too, and has not.
func succeeded(c *pod.Container) bool {
	return c != nil && c.State == pod.StateDead && c.Exit.Code == 0 && !asked(c)
}

// asked tells whether a run was stopped because somebody wanted it, and not
// because it failed.
func asked(c *pod.Container) bool { return c.Stopping != nil && !c.Stopping.Failure }

// mayRestart tells whether a dead run may be followed by another one. What
// podstead itself stopped for a change goes on whatever the policy says.
func mayRestart(c *pod.Container, spec *corev1.Pod) bool {
	if asked(c) {
		return c.Stopping.Reason != ReasonDeadline
	}
	switch policyOf(spec, c.Name) {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return c.Exit.Code != 0 || c.Stopping != nil
	default:
		return true
	}
}

// done tells whether a dead run stays the last one of its container. A changed
// manifest runs it again, and what an init container did in an earlier sandbox
// does not count.
func done(l *life, c *pod.Container, spec *corev1.Pod) bool {
	again := c.Role == pod.RoleInit && l.latestHere(c.Name) == nil
	return !again && !mayRestart(c, spec) && containerChange(c, spec) == ""
}

// policyOf is the restart policy of one container: its own, or the pod's. An
// init container of a pod that restarts always is restarted until it ends
// well.
func policyOf(spec *corev1.Pod, name string) corev1.RestartPolicy {
	c := pod.ContainerSpec(spec, name)
	switch {
	case c == nil: // pause
		return corev1.RestartPolicyAlways
	case c.RestartPolicy != nil:
		return corev1.RestartPolicy(*c.RestartPolicy)
	case pod.RoleOf(spec, name) == pod.RoleInit && spec.Spec.RestartPolicy == corev1.RestartPolicyAlways:
		return corev1.RestartPolicyOnFailure
	default:
		return spec.Spec.RestartPolicy
	}
}

// outcome is the pod's phase as far as it is decided by how its containers
// ended; PodRunning while it is not.
func outcome(l *life, spec *corev1.Pod, now pod.Moment) corev1.PodPhase {
	if deadlineExceeded(l, spec, now) {
		return corev1.PodFailed
	}
	if !initialised(l, spec) && initFailed(l, spec) {
		return corev1.PodFailed
	}
	failed := false
	for i := range spec.Spec.Containers {
		c := l.latest(spec.Spec.Containers[i].Name)
		if c == nil || c.State != pod.StateDead || !done(l, c, spec) {
			return corev1.PodRunning
		}
		failed = failed || c.Exit.Code != 0
	}
	if failed {
		return corev1.PodFailed
	}
	return corev1.PodSucceeded
}

func initFailed(l *life, spec *corev1.Pod) bool {
	for i := range spec.Spec.InitContainers {
		s := &spec.Spec.InitContainers[i]
		c := l.latestHere(s.Name)
		if pod.InitRole(s) == pod.RoleInit && c != nil && c.State == pod.StateDead && c.Exit.Code != 0 && done(l, c, spec) {
			return true
		}
	}
	return false
}
