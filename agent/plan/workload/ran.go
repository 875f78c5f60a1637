package workload

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// noteRan records which images good revisions run.
func (r *decider) noteRan() {
	for i := range r.rec.Revisions {
		rev := &r.rec.Revisions[i]
		if !rev.Good {
			continue
		}
		for _, c := range containers(&rev.Template.Spec) {
			if digest := r.runs(rev, c.Name); digest != rev.Ran[c.Name] {
				rev.Ran = maps.Clone(rev.Ran) // records before stay as they are
				if rev.Ran == nil {
					rev.Ran = map[string]string{}
				}
				rev.Ran[c.Name], r.Store = digest, true
			}
		}
	}
}

// runs is the digest of the image that a container of a good revision runs
// well. What is on record stays as long as a pod of the revision runs it.
// After that, when a tag was resolved anew, it is what most of its pods run
// that have been ready for the watch window.
func (r *decider) runs(rev *Revision, container string) string {
	known := rev.Ran[container]
	counts := map[string]int{}
	for _, m := range r.members {
		digest := m.Images[container]
		switch {
		case m.Revision != rev.Hash || digest == "":
		case digest == known:
			return known
		case !m.ready:
		case known != "" && r.now.Moment < m.Ready.Moment.Add(r.watch):
			r.wakeAt(m.Ready.Moment.Add(r.watch))
		default:
			counts[digest]++
		}
	}
	best := known
	for _, digest := range slices.Sorted(maps.Keys(counts)) {
		if cmp.Compare(counts[digest], counts[best]) > 0 {
			best = digest
		}
	}
	return best
}

// imageName is the name by which a container of a revision gets its image: one
// that is gone back to gets the very image that it ran.
func (r *decider) imageName(rev *Revision, c *corev1.Container) string {
	if r.returns(rev) {
		return rev.ranImage(c)
	}
	return c.Image
}

// ranImage is the name of the image that a container ran well, with its digest
// where that is known.
func (r *Revision) ranImage(c *corev1.Container) string {
	digest := r.Ran[c.Name]
	if digest == "" || strings.Contains(c.Image, "@") {
		return c.Image
	}
	return c.Image + "@" + digest
}

// Images are the names of those that have to stay: of the revision that pods
// are made of, of those that wait or are wanted instead, and of those to which
// a rollback or undo would go, those as they ran.
func (r *Record) Images() []string {
	var names []string
	keep := func(rev *Revision, name func(*corev1.Container) string) {
		if rev == nil {
			return
		}
		for _, c := range containers(&rev.Template.Spec) {
			if n := name(c); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	target := r.Revision(r.Target)
	for _, rev := range []*Revision{target, r.Revision(r.Held.Revision)} {
		keep(rev, func(c *corev1.Container) string { return c.Image })
	}
	for _, rev := range []*Revision{target, r.Revision(r.Held.Revision), r.Revision(r.Drift.Undo), r.good(), r.before()} {
		keep(rev, func(c *corev1.Container) string { return rev.ranImage(c) })
	}
	return names
}
