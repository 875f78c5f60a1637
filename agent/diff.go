package agent

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// The verbs of changes.
const (
	created   = "created"
	changed   = "changed"
	deleted   = "deleted"
	unchanged = "unchanged"
)

// Diff says what would change if the objects, which are validated and
// defaulted, replaced those that are wanted now, in order of their keys. What
// stands in the same files now and is not among them counts as deleted.
// Nothing is fetched, stored or changed.
func (a *Agent) Diff(ctx context.Context, objects []pod.Object) ([]pod.Change, error) {
	answer := make(chan []pod.Change, 1)
	a.send(func(l *loop) { answer <- l.diff(objects) })
	select {
	case got := <-answer:
		return got, nil
	case <-a.ended:
		return nil, context.Canceled
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *loop) diff(objects []pod.Object) []pod.Change {
	look := l.lookForWorkloads()
	given, files := map[pod.ObjectKey]bool{}, map[string]bool{}
	var changes []pod.Change
	for i := range objects {
		o := &objects[i]
		given[o.ObjectKey], files[o.Origin.File] = true, true
		changes = append(changes, l.change(o, look))
	}
	for _, before := range l.current() {
		if files[before.Origin.File] && !given[before.ObjectKey] {
			changes = append(changes, pod.Change{ObjectKey: before.ObjectKey, Verb: deleted, Before: before, Plan: l.deletion(before)})
		}
	}
	slices.SortFunc(changes, func(a, b pod.Change) int { return a.Compare(b.ObjectKey) })
	return changes
}

// current lists what is wanted now, pods of workloads left out.
func (l *loop) current() []*pod.Object {
	var list []*pod.Object
	for _, key := range sortedObjects(l.objects) {
		if o := l.objects[key].Object; o != nil {
			list = append(list, o)
		}
	}
	for _, key := range sortedKeys(l.wants) {
		if o := l.currentPod(key); o != nil {
			list = append(list, o)
		}
	}
	return list
}

func (l *loop) currentPod(key pod.Key) *pod.Object {
	d := l.wants[key].Desired
	if _, derived := l.workloadOf(key); derived || d == nil {
		return nil
	}
	return &pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindPod, Key: key}, Pod: d.Pod, Origin: d.Origin}
}

func (l *loop) change(after *pod.Object, look workloadLook) pod.Change {
	c := pod.Change{ObjectKey: after.ObjectKey, After: after, Before: l.objects[after.ObjectKey].Object, Verb: changed}
	if after.Kind == pod.KindPod {
		c.Before = l.currentPod(after.Key)
	}
	switch {
	case c.Before == nil:
		c.Verb = created
	case equality.Semantic.DeepEqual(c.Before.Content(), after.Content()):
		c.Verb = unchanged
		return c
	}
	switch {
	case isRolled(after.Kind):
		c.Plan = l.rolloutPlan(after, look)
	case after.Kind == pod.KindPod && c.Before != nil && l.pods[after.Key] != nil:
		desired := &pod.Desired{Key: after.Key, Pod: after.Pod, Origin: after.Origin}
		c.Plan = plan.Effect(l.have(l.pods[after.Key]), desired, l.cfg.Now().Moment)
	}
	return c
}

// rolloutPlan is what would be decided about a workload.
func (l *loop) rolloutPlan(o *pod.Object, look workloadLook) []string {
	ws := l.workloads[o.ObjectKey]
	now := l.cfg.Now()
	if ws == nil {
		ws = newWorkloadState(o.ObjectKey, now.Wall)
	}
	h := l.workloadHave(ws, look)
	d := workload.Decide(l.rollouts, workload.Want{Object: o}, h, now)
	if d.Keep {
		return []string{"containerd can't be asked, so it can't be told how it would be done"}
	}
	if d.Status.Elsewhere != "" && len(d.Ended) == 0 {
		return []string{"this server does not run it: " + d.Status.Elsewhere}
	}
	lines := slices.Clone(d.Plan)
	for _, e := range d.Events {
		if e.Reason == "DriftTakenBack" {
			lines = append(lines, e.Message)
		}
	}
	if made := len(d.Pods) - wantedOf(h); made > 0 && len(d.Plan) == 0 {
		lines = append(lines, fmt.Sprintf("%s made", countPods(made)))
	}
	if len(d.Ended) > 0 && len(d.Plan) == 0 {
		lines = append(lines, fmt.Sprintf("%s ended: %s", countPods(len(d.Ended)), d.Ended[0].Why))
	}
	if len(lines) == 0 {
		lines = append(lines, "no pod is touched")
	}
	return lines
}

// wantedOf counts the pods that are not on their way out.
func wantedOf(h workload.Have) int {
	n := 0
	for i := range h.Pods {
		if !h.Pods[i].Stopping {
			n++
		}
	}
	return n
}

func countPods(n int) string {
	if n == 1 {
		return "1 pod is"
	}
	return fmt.Sprintf("%d pods are", n)
}

// deletion says what the removal of a manifest would do.
func (l *loop) deletion(o *pod.Object) []string {
	n := 0
	switch ws := l.workloads[o.ObjectKey]; {
	case o.Kind == pod.KindPod:
		n = 1
	case ws != nil:
		n = len(ws.pods) + len(ws.unreadable)
	}
	if n == 0 {
		return nil
	}
	return []string{countPods(n) + " ended"}
}
