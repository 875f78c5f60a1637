package agent

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// workloadLook is what decisions about several workloads at one time have in
// common.
type workloadLook struct {
	// pods are those of each workload, those of manifests under a zero key;
	// keys tells for each to which it belongs.
	pods map[pod.ObjectKey]map[pod.Key]bool
	keys map[pod.Key]pod.ObjectKey
	free corev1.ResourceList
	// events are the latest ones about each pod, in words.
	events map[pod.Key][]string
}

// keptEvents is how many events of a pod a decision is given.
const keptEvents = 5

func (l *loop) lookForWorkloads() workloadLook {
	look := workloadLook{
		pods: map[pod.ObjectKey]map[pod.Key]bool{}, keys: map[pod.Key]pod.ObjectKey{},
		free:   plan.Spare(l.claims, l.room()),
		events: map[pod.Key][]string{},
	}
	note := func(key pod.Key) {
		owner, _ := l.workloadOf(key)
		look.keys[key] = owner
		if look.pods[owner] == nil {
			look.pods[owner] = map[pod.Key]bool{}
		}
		look.pods[owner][key] = true
	}
	for key, ps := range l.pods {
		// What is left of a pod that was begun and never ran is nobody's.
		if l.wants[key].Desired != nil || ps.newest().Pod != nil {
			note(key)
		}
	}
	for key, w := range l.wants {
		if w.Desired != nil {
			note(key)
		}
	}
	for key := range l.derived {
		note(key)
	}
	for _, e := range l.events.list {
		if o := e.InvolvedObject; o.Kind == string(pod.KindPod) {
			key := pod.Key{Namespace: o.Namespace, Name: o.Name}
			list := append(look.events[key], e.Reason+": "+e.Message)
			look.events[key] = list[max(len(list)-keptEvents, 0):]
		}
	}
	return look
}

// others are the pods that do not belong to a workload.
func (look workloadLook) others(owner pod.ObjectKey) map[pod.Key]bool {
	others := map[pod.Key]bool{}
	for key, of := range look.keys {
		if of != owner {
			others[key] = true
		}
	}
	return others
}

// workloadHave is what was observed of a workload.
func (l *loop) workloadHave(ws *workloadState, look workloadLook) workload.Have {
	h := workload.Have{
		RuntimeUp: l.runtime.Up && l.swept, Images: ws.fetched, Free: look.free, Record: ws.record, Shown: ws.status,
		Halted: l.drain != nil,
		Others: look.others(ws.key),
	}
	for key := range look.pods[ws.key] {
		if p, there := l.workloadPod(ws, key); there {
			p.Events = look.events[key]
			h.Pods = append(h.Pods, p)
		}
	}
	slices.SortFunc(h.Pods, func(a, b workload.Pod) int {
		if a.Key.Less(b.Key) {
			return -1
		}
		return 1
	})
	for _, t := range plan.Taken(l.portsOf(ws), look.pods[ws.key], l.claims, l.ports.heard) {
		h.Taken = append(h.Taken, workload.Taken{HostPort: t.HostPort, By: t.By})
	}
	return h
}

// workloadPod is what was observed of one pod of a workload; there is false
// when it is not wanted and nothing of it is left.
func (l *loop) workloadPod(ws *workloadState, key pod.Key) (p workload.Pod, there bool) {
	ps := l.pods[key]
	if ps == nil && !ws.wants(key) {
		return p, false
	}
	p = workload.Pod{Key: key, Desired: ws.pods[key]}
	if o := plan.ObstacleOf(l.wants[key]); o != nil && o.Reason != plan.ReasonLooking {
		p.Blocked = o.Message
	}
	if ps != nil {
		if c := ps.newest(); c.Pod != nil && p.Desired == nil {
			p.Desired = &pod.Desired{Key: key, Pod: c.Pod, Origin: c.Origin}
		}
		l.observedPod(ws, ps, &p)
	}
	if p.Desired != nil {
		p.Revision = p.Desired.Pod.Labels[workload.HashLabel(ws.key.Kind)]
	}
	return p, true
}

// observedPod fills in what was seen of a pod of which something exists.
func (l *loop) observedPod(ws *workloadState, ps *podState, p *workload.Pod) {
	st := &corev1.PodStatus{}
	if n := len(ps.views); n > 0 {
		st = &ps.views[n-1].Pod.Status
	}
	have := l.have(ps)
	seen := plan.See(have, st)
	_, serving := have.Serving[ps.newest().Instance.Number]
	p.Serving = serving && !seen.Condemned
	p.Ready, p.Excused, p.Crashes, p.Troubles = seen.Ready, seen.Excused, seen.Crashes, seen.Troubles
	p.Images = map[string]string{}
	for name, c := range ps.latest(ps.newest().Instance.Number) {
		if c.Image.Digest != "" {
			p.Images[name] = c.Image.Digest
		}
	}
	switch {
	case ws.wants(ps.key):
		// One that was ended for what it did to its disk comes back by itself.
	case ws.decided:
		p.Stopping = true
	default:
		p.Stopping = seen.Condemned
	}
	if p.Blocked != "" {
		return
	}
	for name, f := range ps.failed {
		if isPull(name) {
			p.Blocked = f.Message
		}
	}
}

// collecting tells whether a container of a wanted pod has ended and it is about
// to be known how. What is decided before would not tell why.
func (l *loop) collecting(ws *workloadState) bool {
	for key := range ws.pods {
		ps := l.pods[key]
		if ps == nil {
			continue
		}
		for _, c := range ps.containers {
			_, failed := ps.failed[plan.Reap{ID: c.ID, Container: c.Name}.Name()]
			if c.State == pod.StateExited && !failed {
				return true
			}
		}
	}
	return false
}

// portsOf are the ports of the host that revisions of a workload want.
func (l *loop) portsOf(ws *workloadState) []pod.HostPort {
	var ports []pod.HostPort
	add := func(t *corev1.PodTemplateSpec) {
		for _, hp := range pod.HostPorts(&t.Spec) {
			if !slices.Contains(ports, hp) {
				ports = append(ports, hp)
			}
		}
	}
	if o := l.objects[ws.key].Object; o != nil && o.Template() != nil {
		add(o.Template())
	}
	if ws.record != nil {
		for i := range ws.record.Revisions {
			add(ws.record.Revisions[i].Template)
		}
	}
	return ports
}

// portsOfWorkloads are the ports of the host that workloads want and that none
// of their pods has: before a revision replaces what runs it is looked at
// whether they are free.
func (l *loop) portsOfWorkloads(claims []plan.Claim) []pod.HostPort {
	held := map[pod.HostPort]bool{}
	for _, c := range claims {
		for _, version := range []*corev1.Pod{c.Wanted, c.Live} {
			if version == nil {
				continue
			}
			for _, hp := range pod.HostPorts(&version.Spec) {
				held[hp] = true
			}
		}
	}
	var ports []pod.HostPort
	for _, key := range sortedObjects(l.workloads) {
		for _, hp := range l.portsOf(l.workloads[key]) {
			if !held[hp] && !slices.Contains(ports, hp) {
				ports = append(ports, hp)
			}
		}
	}
	return ports
}
