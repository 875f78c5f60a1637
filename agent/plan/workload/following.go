package workload

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// passes bounds how often a decision is made again on its own outcome. It
// takes two as a rule, the second of which finds nothing: a pod that ends may
// let another revision go on that waited.
const passes = 8

// decideAll decides, and decides again on what there is when that is carried
// out, until nothing comes of it.
func decideAll(s Settings, sp spec, h Have, now pod.Stamp) Decision {
	var ended []Ended
	var events []Event
	store := false
	for have, pass := h, 1; ; pass++ {
		r := newDecider(s, sp, have, now)
		r.decide()
		ended, events, store = append(ended, r.Ended...), append(events, r.Events...), store || r.Store
		if pass < passes && r.did() {
			have = r.following()
			continue
		}
		r.Store, r.Events = store, events
		// What came and went in the meantime never was.
		r.Ended = slices.DeleteFunc(ended, func(e Ended) bool { return !has(h.Pods, e.Key) })
		slices.SortFunc(r.Ended, func(a, b Ended) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
		r.countEvents(h.Pods)
		return *r.Decision
	}
}

func has(pods []Pod, key pod.Key) bool {
	return slices.ContainsFunc(pods, func(p Pod) bool { return p.Key == key })
}

// did tells whether anything comes of what was decided.
func (r *decider) did() bool {
	return r.Store || len(r.Ended)+len(r.Events) > 0 || slices.ContainsFunc(r.members, func(m *member) bool { return !m.made })
}

// following is what there is when a decision was carried out and nothing else
// was observed.
func (r *decider) following() Have {
	next := r.have
	next.Record, next.Shown, next.Pods = r.Record, &r.Status, nil
	for _, p := range r.have.Pods {
		if slices.ContainsFunc(r.Ended, func(e Ended) bool { return e.Key == p.Key }) {
			p.Stopping, p.Ready = true, pod.Stamp{}
		}
		next.Pods = append(next.Pods, p)
	}
	for _, d := range r.Pods {
		if has(r.have.Pods, d.Key) {
			continue
		}
		next.Pods = append(next.Pods, Pod{Key: d.Key, Revision: d.Pod.Labels[r.hashLabel], Desired: d})
		next.Free = minus(next.Free, requests(&d.Pod.Spec))
	}
	return next
}

// minus is what is left of what is free.
func minus(free, taken corev1.ResourceList) corev1.ResourceList {
	left := corev1.ResourceList{}
	for name, q := range free {
		rest := q.DeepCopy()
		rest.Sub(taken[name])
		left[name] = rest
	}
	return left
}
