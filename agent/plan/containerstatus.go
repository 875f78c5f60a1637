package plan

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// containerStatus describes one container as the Kubernetes API does: its
// present state, the end of the run before it, and its restarts.
func (p *planner) containerStatus(l *life, d *pod.Desired, name string, v *View) corev1.ContainerStatus {
	spec := pod.ContainerSpec(d.Pod, name)
	last := l.latest(name)
	st := corev1.ContainerStatus{Name: name, Image: spec.Image, Started: new(bool)}
	if last == nil {
		st.State.Waiting = p.waiting(l, d, name)
		if _, why, waits := p.banned(); waits && l.sandbox == nil {
			st.State.Waiting = &corev1.ContainerStateWaiting{Reason: "Evicted", Message: why}
		}
		return st
	}
	st.RestartCount = int32(last.Attempt)
	st.ContainerID = "containerd://" + last.ID
	if last.Image.Ref != "" {
		st.Image, st.ImageID = last.Image.Ref, last.Image.Ref+"@"+last.Image.Digest
	}
	before := l.before(last)
	switch last.State {
	case pod.StateRunning, pod.StateExited: // until its end is collected, nobody knows how it ended
		st.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(last.Started.Wall)}
		st.Ready, *st.Started = p.isReady(last), p.started(last)
		st.LastTerminationState.Terminated = terminated(before)
		st.Resources = amount(last.Spec())
	case pod.StateDead:
		p.deadStatus(l, d, last, v, &st)
	default:
		st.State.Waiting = p.waiting(l, d, name)
		st.LastTerminationState.Terminated = terminated(before)
	}
	return st
}

// deadStatus tells a container that waits to be restarted from one that
// stays dead.
func (p *planner) deadStatus(l *life, d *pod.Desired, last *pod.Container, v *View, st *corev1.ContainerStatus) {
	done := pod.RoleOf(d.Pod, last.Name) == pod.RoleInit && (succeeded(last) || initialised(l, d.Pod))
	over := outcome(l, d.Pod, p.now) != corev1.PodRunning || l.condemned() != nil || p.want.Halt != nil
	if done || over || !mayRestart(last, d.Pod) {
		st.State.Terminated = terminated(last)
		st.LastTerminationState.Terminated = terminated(l.before(last))
		st.Ready = done && succeeded(last)
		return
	}
	st.LastTerminationState.Terminated = terminated(last)
	at, _ := p.restart(last)
	if p.now >= at || editedSince(last, d.Pod) || asked(last) {
		st.State.Waiting = p.waiting(l, d, last.Name)
		if p.have.Queued && !asked(last) {
			st.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: fmt.Sprintf(
				"its back-off is over, and it waits for its turn: this server restarts %g failed containers per second", p.RestartRate)}
		}
		return
	}
	v.NextStart[last.Name] = at
	delay := at.Sub(last.Exit.At.Moment)
	st.State.Waiting = &corev1.ContainerStateWaiting{
		Reason: "CrashLoopBackOff",
		Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s",
			delay.Round(time.Second), last.Name, d.Key.Name, d.Key.Namespace),
	}
}

// waiting says why a container has not started, in Kubernetes' words.
func (p *planner) waiting(l *life, d *pod.Desired, name string) *corev1.ContainerStateWaiting {
	spec := pod.ContainerSpec(d.Pod, name)
	if h := p.want.Halt; h != nil {
		return &corev1.ContainerStateWaiting{Reason: pod.ReasonShutdown, Message: h.Reason}
	}
	if o := ObstacleOf(p.want); o != nil && len(l.containers) == 0 {
		return &corev1.ContainerStateWaiting{Reason: o.Reason, Message: o.Message}
	}
	if f, failed := p.have.Failed[startName(l.number, name)]; failed {
		return &corev1.ContainerStateWaiting{Reason: orElse(f.Reason, "CreateContainerError"), Message: f.Message}
	}
	if _, ok := p.imageOf(l, name, d); !ok {
		if f, failed := p.have.Failed[Pull{Image: spec.Image}.Name()]; failed {
			return imageWaiting(f)
		}
	}
	if f, failed := p.have.Failed[Prepare{Instance: l.number}.Name()]; failed {
		reason := "ContainerCreating"
		if f.Reason == "NetworkNotReady" || f.Reason == "SysctlForbidden" {
			reason = f.Reason
		}
		return &corev1.ContainerStateWaiting{Reason: reason, Message: f.Message}
	}
	if !initialised(l, d.Pod) && len(d.Pod.Spec.InitContainers) > 0 && d.Pod.Spec.InitContainers[0].Name != name {
		return &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
	}
	return &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
}

// imageWaiting says why an image is not there; the failure names it.
func imageWaiting(f Failure) *corev1.ContainerStateWaiting {
	reason := orElse(f.Reason, "ErrImagePull")
	if reason == "ErrImagePull" && f.Count > 1 {
		reason = "ImagePullBackOff"
	}
	return &corev1.ContainerStateWaiting{Reason: reason, Message: f.Message}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// before returns the newest dead run before a run, nil if there is none.
func (l *life) before(run *pod.Container) *pod.Container {
	var found *pod.Container
	for i := range l.containers {
		c := &l.containers[i]
		if c.Name == run.Name && c.Attempt < run.Attempt && c.State == pod.StateDead {
			found = c
		}
	}
	return found
}

func terminated(c *pod.Container) *corev1.ContainerStateTerminated {
	if c == nil || c.Exit == nil {
		return nil
	}
	started := c.Started
	if started.IsZero() {
		started = c.Exit.At
	}
	return &corev1.ContainerStateTerminated{
		ExitCode: int32(c.Exit.Code), Signal: int32(c.Exit.Signal),
		Reason: c.Exit.Reason, Message: c.Exit.Message,
		StartedAt: metav1.NewTime(started.Wall), FinishedAt: metav1.NewTime(c.Exit.At.Wall),
		ContainerID: "containerd://" + c.ID,
	}
}

// amount is what the running container really has, which may differ from what
// is wanted while a resize is held.
func amount(c *corev1.Container) *corev1.ResourceRequirements {
	if c == nil {
		return nil
	}
	return &corev1.ResourceRequirements{Requests: c.Resources.Requests, Limits: c.Resources.Limits}
}
