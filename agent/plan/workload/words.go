package workload

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

const (
	normal  = corev1.EventTypeNormal
	warning = corev1.EventTypeWarning
)

// countEvents tells of pods that are added to those before and ended, as
// Kubernetes' own controllers do.
func (r *decider) countEvents(before []Pod) {
	if r.object.Kind == pod.KindDeployment {
		r.scalingEvents(before)
		return
	}
	for _, m := range r.members {
		if !has(before, m.Key) {
			r.say(normal, "SuccessfulCreate", "Created pod: "+m.Key.Name)
		}
	}
	for _, e := range r.Ended {
		r.say(normal, "SuccessfulDelete", fmt.Sprintf("Deleted pod: %s: %s", e.Key.Name, e.Why))
	}
}

func (r *decider) scalingEvents(pods []Pod) {
	before, after := map[string]int{}, map[string]int{}
	for i := range pods {
		if p := &pods[i]; !p.Stopping {
			before[p.Revision]++
		}
	}
	for _, m := range r.members {
		after[m.Revision]++
	}
	for i := range r.rec.Revisions {
		rev := &r.rec.Revisions[i]
		switch a, b := before[rev.Hash], after[rev.Hash]; cmp.Compare(a, b) {
		case -1:
			r.say(normal, "ScalingReplicaSet", fmt.Sprintf("Scaled up replica set %s from %d to %d", r.name(rev), a, b))
		case 1:
			r.say(normal, "ScalingReplicaSet", fmt.Sprintf("Scaled down replica set %s from %d to %d", r.name(rev), a, b))
		}
	}
}

// driftText says what people changed against the manifest.
func (r *decider) driftText() []string {
	var list []string
	d := r.rec.Drift
	if d.Replicas != nil {
		list = append(list, fmt.Sprintf("replicas is %d, the manifest says %d", *d.Replicas, r.replicas))
	}
	if rev := r.rec.Revision(d.Undo); rev != nil {
		list = append(list, fmt.Sprintf("%s is wanted instead of the manifest's", r.describe(rev)))
	}
	if d.Paused != nil && *d.Paused {
		list = append(list, "rollouts are paused, the manifest says nothing of that")
	} else if d.Paused != nil {
		list = append(list, "rollouts go on, the manifest says paused")
	}
	if d.RestartedAt != "" {
		list = append(list, "restarted at "+d.RestartedAt)
	}
	return list
}

// plan says what goes on or would go on, and why in this way.
func (r *decider) plan() []string {
	rec := r.rec
	target, declared, held := rec.Revision(rec.Target), rec.Revision(r.declared), rec.Revision(rec.Held.Revision)
	var lines []string
	if !r.where.runs {
		lines = append(lines, "this server does not run it: "+r.where.why)
	}
	if declared != nil && declared.Failure != nil {
		lines = append(lines, fmt.Sprintf("%s failed: %s", r.describe(declared), declared.Failure.Message))
		if target != nil && target != declared {
			lines = append(lines, fmt.Sprintf("%s runs instead, until the manifest changes", r.describe(target)))
		}
	}
	if r.Status.Paused && r.hashLabel != "" {
		lines = append(lines, "rollouts are paused: only the number of pods is kept")
		return lines
	}
	switch {
	case held != nil:
		lines = append(lines, fmt.Sprintf("%s waits: %s; what runs stays", r.describe(held), r.gate(held.Hash).why))
		lines = append(lines, r.replacement(held)...)
	case target != nil && r.replaces(target):
		lines = append(lines, r.replacement(target)...)
		if g := r.gate(target.Hash); !g.open {
			lines = append(lines, fmt.Sprintf("%s does not go on: %s; what runs stays", r.describe(target), g.why))
		}
	}
	return lines
}

func (r *decider) replaces(rev *Revision) bool {
	return slices.ContainsFunc(r.members, func(m *member) bool { return m.Revision != rev.Hash }) ||
		slices.ContainsFunc(r.have.Pods, func(p Pod) bool { return p.Revision != rev.Hash })
}

func (r *decider) replacement(rev *Revision) []string {
	if r.awaitsHand() {
		return []string{fmt.Sprintf("%s does not replace what runs by itself: the update strategy is OnDelete, so the pod stays until podstead rollout restart replaces it, then %s",
			r.describe(rev), r.orderOf(rev).why)}
	}
	return []string{fmt.Sprintf("%s replaces what runs, %s", r.describe(rev), r.orderOf(rev).why)}
}
