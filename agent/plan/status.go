package plan

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// View is a pod instance as it is shown: the wanted pod with its status in
// the shape of the Kubernetes API. It is as pure as Pod, and d is what Pod
// decided on the same values.
type View struct {
	Number int
	Spec   *pod.Desired
	Status corev1.PodStatus
	// NextStart is when the back-off of a container ends, by container.
	NextStart map[string]pod.Moment
	Deleting  bool
	Grace     int64
	// Since is when the deletion began.
	Since pod.Stamp
}

// Views describes every instance of a pod, the oldest first; a wanted pod of
// which nothing exists yet is shown under the number that it will get.
func Views(s Settings, w Want, h Have, now pod.Moment) []View {
	p := planner{Settings: s, want: w, have: h, now: now, Decision: &Decision{}}
	lives := instances(h)
	var views []View
	for i := range lives {
		if v, ok := p.view(&lives[i], i == len(lives)-1); ok {
			views = append(views, v)
		}
	}
	if len(lives) == 0 && w.Desired != nil {
		l := life{number: h.LastInstance + 1}
		v := p.describe(&l, w.Desired)
		if !h.RuntimeUp {
			v.Status = unknown(v.Status)
		}
		views = append(views, v)
	}
	return views
}

// unknown is the status of a pod of which nothing was seen because the runtime
// could not be asked: after a restart of podstead it may well run.
func unknown(st corev1.PodStatus) corev1.PodStatus {
	st.Phase, st.Reason, st.Message = corev1.PodUnknown, "RuntimeDown", "containerd can't be asked, so it is not known what runs of this pod"
	st.InitContainerStatuses, st.ContainerStatuses = nil, nil
	for i := range st.Conditions {
		c := &st.Conditions[i]
		c.Status, c.Reason = corev1.ConditionUnknown, st.Reason
	}
	return st
}

func (p *planner) view(l *life, newest bool) (View, bool) {
	spec := l.recorded()
	ending := !newest || p.over(l)
	if spec == nil {
		spec = p.have.Cleared[l.number]
	}
	switch {
	case ending && spec == nil:
		spec = p.want.Desired
	case !ending && p.want.Desired != nil && (spec == nil || p.replaceReason(l, spec, p.want.Desired) == ""):
		spec = p.want.Desired
	}
	if spec == nil {
		return View{}, false
	}
	v := p.describe(l, spec)
	if c := l.condemned(); c != nil || ending {
		v.Deleting = true
		v.Grace = int64(l.grace().Seconds())
		if c != nil {
			v.Since = c.Since
		}
	}
	return v, true
}

func (p *planner) describe(l *life, d *pod.Desired) View {
	v := View{Number: l.number, Spec: d, NextStart: map[string]pod.Moment{}}
	st := &v.Status
	st.QOSClass = pod.QOSClass(d.Pod)
	for i := range d.Pod.Spec.InitContainers {
		st.InitContainerStatuses = append(st.InitContainerStatuses, p.containerStatus(l, d, d.Pod.Spec.InitContainers[i].Name, &v))
	}
	for i := range d.Pod.Spec.Containers {
		st.ContainerStatuses = append(st.ContainerStatuses, p.containerStatus(l, d, d.Pod.Spec.Containers[i].Name, &v))
	}
	st.Phase = phase(l, d.Pod, p.now)
	if deadlineExceeded(l, d.Pod, p.now) {
		st.Reason, st.Message = ReasonDeadline, "Pod was active on the node longer than the specified deadline"
	} else if h := p.want.Halt; h != nil && st.Phase != corev1.PodSucceeded && st.Phase != corev1.PodFailed {
		st.Reason, st.Message = pod.ReasonShutdown, h.Reason
	} else if o := ObstacleOf(p.want); o != nil && len(l.containers) == 0 {
		st.Reason, st.Message = o.Reason, o.Message
	}
	if l.sandbox != nil {
		for _, ip := range l.sandbox.IPs {
			st.PodIPs = append(st.PodIPs, corev1.PodIP{IP: ip})
		}
		if len(l.sandbox.IPs) > 0 {
			st.PodIP = l.sandbox.IPs[0]
		}
	}
	if first := l.began(); !first.IsZero() {
		t := metav1.NewTime(first.Wall)
		st.StartTime = &t
	}
	st.Conditions = conditions(l, d.Pod, st)
	return v
}

// ObstacleOf is what holds a pod back, nil if nothing does.
func ObstacleOf(w Want) *Obstacle {
	if w.Blocked != nil {
		return w.Blocked
	}
	return w.Waiting
}

// began is when the instance was begun. The records of its first runs are
// deleted in time, its sandbox stays.
func (l *life) began() pod.Stamp {
	var times []pod.Stamp
	if l.sandbox != nil && !l.sandbox.Created.IsZero() {
		times = append(times, l.sandbox.Created)
	}
	for i := range l.containers {
		times = append(times, l.containers[i].Created)
	}
	if len(times) == 0 {
		return pod.Stamp{}
	}
	return slices.MinFunc(times, func(a, b pod.Stamp) int { return cmp.Compare(a.Moment, b.Moment) })
}

func phase(l *life, spec *corev1.Pod, now pod.Moment) corev1.PodPhase {
	if o := outcome(l, spec, now); o != corev1.PodRunning {
		return o
	}
	for i := range spec.Spec.Containers {
		if l.latest(spec.Spec.Containers[i].Name) != nil {
			return corev1.PodRunning
		}
	}
	return corev1.PodPending
}

// conditions are the pod conditions that Kubernetes users wait for.
func conditions(l *life, spec *corev1.Pod, st *corev1.PodStatus) []corev1.PodCondition {
	ready := l.condemned() == nil && len(st.ContainerStatuses) > 0
	for _, c := range st.ContainerStatuses {
		ready = ready && c.Ready
	}
	for i, c := range st.InitContainerStatuses {
		ready = ready && (c.Ready || pod.InitRole(&spec.Spec.InitContainers[i]) == pod.RoleInit)
	}
	sandbox := l.sandbox != nil && l.sandbox.Ready
	reason := ""
	switch st.Phase {
	case corev1.PodSucceeded:
		reason = "PodCompleted"
	case corev1.PodFailed:
		reason = "PodFailed"
	default:
		if !ready {
			reason = "ContainersNotReady"
		}
	}
	initialisedNow := initialised(l, spec) || st.Phase == corev1.PodSucceeded || len(spec.Spec.InitContainers) == 0 && sandbox
	return []corev1.PodCondition{
		condition(corev1.PodReadyToStartContainers, sandbox, ""),
		condition(corev1.PodInitialized, initialisedNow, ""),
		condition(corev1.PodReady, ready, reason),
		condition(corev1.ContainersReady, ready, reason),
		condition(corev1.PodScheduled, true, ""),
	}
}

func condition(kind corev1.PodConditionType, holds bool, reason string) corev1.PodCondition {
	c := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse}
	if holds {
		c.Status = corev1.ConditionTrue
	} else {
		c.Reason = reason
	}
	return c
}

// Identity fills in what the API shows of an instance's identity.
func Identity(p *corev1.Pod, uid types.UID, v View) {
	p.UID = uid
	if v.Deleting {
		t := metav1.NewTime(v.Since.Wall)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &t, &v.Grace
	}
}
