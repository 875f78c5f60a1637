package agent

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// describe brings what people see of a pod up to date.
func (l *loop) describe(ps *podState, want plan.Want, now pod.Stamp) {
	have := l.have(ps)
	old := ps.views
	ps.views = nil
	for _, v := range plan.Views(l.cfg.Settings, want, have, now.Moment) {
		ps.views = append(ps.views, l.view(ps, v, old, now))
	}
	l.unpublished = true
}

func (l *loop) view(ps *podState, v plan.View, old []pod.View, now pod.Stamp) pod.View {
	i := pod.Instance{Key: ps.key, Number: v.Number}
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: *v.Spec.Pod.ObjectMeta.DeepCopy(),
		Spec:       v.Spec.Pod.Spec,
		Status:     v.Status,
	}
	p.Spec.NodeName = l.cfg.Node.Name
	if v.Deleting && v.Since.IsZero() {
		v.Since = deletedAt(old, i, now)
	}
	plan.Identity(p, l.uid(i), v)
	p.CreationTimestamp = metav1.NewTime(ps.seen.Wall)
	if p.Status.StartTime != nil {
		p.CreationTimestamp = *p.Status.StartTime
	}
	l.hostAddresses(p)
	previous := slices.IndexFunc(old, func(o pod.View) bool { return o.Instance == i })
	if previous >= 0 {
		keepTransitions(p, old[previous].Pod, now)
	} else {
		keepTransitions(p, nil, now)
	}
	view := pod.View{Pod: p, Instance: i, Origin: v.Spec.Origin, Notes: ps.notes, Problems: l.problems(pod.ObjectKey{Kind: pod.KindPod, Key: ps.key}, v.Spec.Origin)}
	for _, c := range ps.containers {
		if c.Instance.Number == v.Number && isLatest(ps, c) {
			view.Containers = append(view.Containers, containerView(ps, c, v, now))
		}
	}
	slices.SortFunc(view.Containers, func(a, b pod.ContainerView) int { return strings.Compare(a.Name, b.Name) })
	return view
}

// deletedAt is when the end of an instance was first shown: the records that
// tell it go before the rest.
func deletedAt(old []pod.View, i pod.Instance, now pod.Stamp) pod.Stamp {
	for _, o := range old {
		if o.Instance == i && o.Pod.DeletionTimestamp != nil {
			return pod.Stamp{Wall: o.Pod.DeletionTimestamp.Time}
		}
	}
	return now
}

func (l *loop) hostAddresses(p *corev1.Pod) {
	for _, ip := range l.node.HostIPs {
		p.Status.HostIPs = append(p.Status.HostIPs, corev1.HostIP{IP: ip})
	}
	if len(l.node.HostIPs) > 0 {
		p.Status.HostIP = l.node.HostIPs[0]
	}
}

// keepTransitions carries the times over at which conditions changed.
func keepTransitions(p, before *corev1.Pod, now pod.Stamp) {
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		c.LastTransitionTime = metav1.NewTime(now.Wall)
		if before == nil {
			continue
		}
		for _, o := range before.Status.Conditions {
			if o.Type == c.Type && o.Status == c.Status {
				c.LastTransitionTime = o.LastTransitionTime
			}
		}
	}
}

func isLatest(ps *podState, c pod.Container) bool {
	for _, o := range ps.containers {
		if o.Name == c.Name && o.Instance == c.Instance && o.Attempt > c.Attempt {
			return false
		}
	}
	return true
}

func containerView(ps *podState, c pod.Container, v plan.View, now pod.Stamp) pod.ContainerView {
	view := pod.ContainerView{
		Name: c.Name, ID: c.ID, Role: c.Role, PID: c.PID, CgroupPath: c.CgroupPath, LogPath: c.LogPath,
		Logger: c.Logger, OOMKills: ps.oomKills[containerName{c.Instance.Number, c.Name}],
	}
	if at, waits := v.NextStart[c.Name]; waits {
		view.NextStart = now.Wall.Add(at.Sub(now.Moment)).Round(time.Second)
	}
	var last pod.Container
	for _, o := range ps.containers {
		if o.Name == c.Name && o.Instance == c.Instance && o.Exit != nil && (last.Exit == nil || o.Attempt > last.Attempt) {
			last = o
		}
	}
	if last.Exit != nil {
		view.LastLogTail = last.Exit.LogTail
		if view.Logger == "" && last.Logger != "" {
			view.Logger = "the run before: " + last.Logger
		}
	}
	return view
}

// problems lists what is wrong with the manifests of a pod, the file that it
// comes from included: of a file that can't be parsed nobody knows which pods
// it names now.
func (l *loop) problems(key pod.ObjectKey, origin pod.Origin) []pod.Problem {
	var found []pod.Problem
	for _, name := range slices.Sorted(maps.Keys(l.sources)) {
		for _, p := range l.sources[name].Problems {
			file := p.Key == (pod.Key{}) && p.Origin.Source == origin.Source && p.Origin.File == origin.File
			if p.Key == key.Key && (p.Kind == key.Kind || p.Kind == "") || file {
				found = append(found, p)
			}
		}
	}
	for _, p := range l.conflicts {
		if p.Object() == key {
			found = append(found, p)
		}
	}
	return found
}

// publishSnapshot puts together what all pods, sources and images look like.
func (l *loop) publishSnapshot(now pod.Stamp) {
	if !l.network.busy { // else traffic goes first, and people see it afterwards
		l.viewServices()
	}
	l.unpublished = false
	l.version++
	s := &pod.Snapshot{
		Version: l.version, Time: now.Wall, Node: l.node,
		Events: l.events.all(), Runtime: l.runtime, Counters: l.counters(), Disk: l.storage.disk,
	}
	s.Services = l.services.views
	if l.drain != nil {
		s.Draining = pod.Draining{Reason: l.drain.Reason, Since: l.drain.begun}
	}
	if w := l.cgroups.warning(); w != "" {
		s.Runtime.Warnings = append(slices.Clone(s.Runtime.Warnings), w)
	}
	s.Workloads = l.workloadViews(s.Events)
	for _, key := range sortedKeys(l.pods) {
		s.Pods = append(s.Pods, l.pods[key].views...)
	}
	for _, name := range slices.Sorted(maps.Keys(l.sources)) {
		s.Sources = append(s.Sources, l.withConflicts(l.sources[name]))
	}
	slices.SortStableFunc(s.Sources, func(a, b pod.SourceState) int { return a.Priority - b.Priority })
	for _, ref := range slices.Sorted(maps.Keys(l.images)) {
		img := l.images[ref]
		view := pod.ImageView{Ref: ref, Pulling: img.busy, Progress: img.progress}
		if img.present != nil {
			view.Digest = img.present.Digest
		}
		s.Images = append(s.Images, view)
	}
	l.publish(s)
}

// withConflicts adds to a source's problems those that only show when all
// sources are seen together.
func (l *loop) withConflicts(s pod.SourceState) pod.SourceState {
	s.Problems = slices.Clone(s.Problems)
	for _, c := range slices.Concat(l.conflicts, l.services.result.Problems) {
		if c.Origin.Source == s.Name {
			s.Problems = append(s.Problems, c)
		}
	}
	return s
}
