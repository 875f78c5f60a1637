package workload

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// compareManifests tells whether anything of an object changed, and whether
// its spec did. The very same object is not looked into.
func compareManifests(before, after *pod.Object) (changed, respecified bool) {
	if before.Kind != after.Kind {
		return true, true
	}
	var same bool
	var a, b *metav1.ObjectMeta
	var x, y any
	switch {
	case after.Deployment != nil && before.Deployment != nil:
		same = before.Deployment == after.Deployment
		a, b = &before.Deployment.ObjectMeta, &after.Deployment.ObjectMeta
		x, y = &before.Deployment.Spec, &after.Deployment.Spec
	case after.DaemonSet != nil && before.DaemonSet != nil:
		same = before.DaemonSet == after.DaemonSet
		a, b = &before.DaemonSet.ObjectMeta, &after.DaemonSet.ObjectMeta
		x, y = &before.DaemonSet.Spec, &after.DaemonSet.Spec
	case after.ReplicaSet != nil && before.ReplicaSet != nil:
		same = before.ReplicaSet == after.ReplicaSet
		a, b = &before.ReplicaSet.ObjectMeta, &after.ReplicaSet.ObjectMeta
		x, y = &before.ReplicaSet.Spec, &after.ReplicaSet.Spec
	default:
		return true, true
	}
	if same {
		return before.Origin != after.Origin, false
	}
	respecified = !equality.Semantic.DeepEqual(x, y)
	return respecified || before.Origin != after.Origin || !equality.Semantic.DeepEqual(a, b), respecified
}

// sameTemplate tells whether a revision is of the wanted template. A restart
// that nobody asks for any more makes no other revision of it.
func sameTemplate(rev, wanted *corev1.PodTemplateSpec) bool {
	if rev == wanted {
		return true
	}
	annotations := rev.Annotations
	if _, asked := wanted.Annotations[RestartedAtAnnotation]; !asked && annotations[RestartedAtAnnotation] != "" {
		annotations = maps.Clone(annotations)
		delete(annotations, RestartedAtAnnotation)
	}
	return equality.Semantic.DeepEqual(annotations, wanted.Annotations) &&
		equality.Semantic.DeepEqual(rev.Labels, wanted.Labels) &&
		equality.Semantic.DeepEqual(rev.Finalizers, wanted.Finalizers) &&
		equality.Semantic.DeepEqual(&rev.Spec, &wanted.Spec)
}

// declare finds the revision that the manifest, or the command line, wants,
// and makes it if there is none: not while rollouts are paused.
func (r *decider) declare() {
	rec := r.rec
	wanted := r.template
	if undone := rec.Revision(rec.Drift.Undo); undone != nil {
		wanted = undone.Template
		r.declared = undone.Hash
		if rec.Drift.RestartedAt == "" {
			return
		}
	}
	if at := rec.Drift.RestartedAt; at != "" {
		t := &corev1.PodTemplateSpec{ObjectMeta: wanted.ObjectMeta, Spec: wanted.Spec}
		t.Annotations = with(t.Annotations, RestartedAtAnnotation, at)
		wanted = t
	}
	if found := rec.match(wanted); found != nil {
		r.declared = found.Hash
		return
	}
	if !r.frozen {
		r.declared = r.newRevision(wanted, rec.highest()+1, "").Hash
	}
}

// match finds the revision of a template: the target if it is one and has not
// failed, else the latest good one, else one that failed. Only restarts make
// several of one template: a copy that was never tried is no way around a
// failure.
func (r *Record) match(t *corev1.PodTemplateSpec) *Revision {
	var found *Revision
	for i := range r.Revisions {
		rev := &r.Revisions[i]
		if !sameTemplate(rev.Template, t) {
			continue
		}
		if rev.Hash == r.Target && rev.Failure == nil {
			return rev
		}
		if found == nil || rev.tried() >= found.tried() {
			found = rev
		}
	}
	return found
}

// tried ranks what is known of a revision: that it is good, that it failed,
// nothing.
func (r *Revision) tried() int {
	switch {
	case r.Good:
		return 2
	case r.Failure != nil:
		return 1
	default:
		return 0
	}
}

// newRevision records a revision; its hash is computed where none is given.
func (r *decider) newRevision(t *corev1.PodTemplateSpec, n int64, hash string) *Revision {
	for salt := 0; hash == ""; salt++ {
		if h := templateHash(r.object.ObjectKey, t, salt); r.rec.Revision(h) == nil {
			hash = h
		}
	}
	r.Store = true
	r.rec.Revisions = append(r.rec.Revisions, Revision{Number: n, Hash: hash, Template: t, Created: r.now})
	r.rec.sort()
	return r.rec.Revision(hash)
}

func (r *Record) sort() {
	slices.SortFunc(r.Revisions, func(a, b Revision) int { return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Hash, b.Hash)) })
}

// adopt makes revisions of pods whose revision is not on record, because the
// record was lost. What runs ready counts as good then.
func (r *decider) adopt() {
	for i := range r.have.Pods {
		p := &r.have.Pods[i]
		if p.Stopping || p.Revision == "" || p.Desired == nil || r.rec.Revision(p.Revision) != nil {
			continue
		}
		n, err := strconv.ParseInt(p.Desired.Pod.Annotations[RevisionAnnotation], 10, 64)
		taken := slices.ContainsFunc(r.rec.Revisions, func(rev Revision) bool { return rev.Number == n })
		if err != nil || n < 1 || taken {
			n = r.rec.highest() + 1
		}
		r.newRevision(templateOf(p.Desired.Pod, r.hashLabel), n, p.Revision)
	}
	if r.rec.Target != "" {
		return
	}
	ready := map[string]int{}
	for i := range r.have.Pods {
		if p := &r.have.Pods[i]; !p.Stopping && !p.Ready.IsZero() {
			ready[p.Revision]++
		}
	}
	var most *Revision
	for i := range r.rec.Revisions {
		rev := &r.rec.Revisions[i]
		rev.Good = ready[rev.Hash] > 0
		if most == nil || ready[rev.Hash] >= ready[most.Hash] {
			most = rev
		}
	}
	if most != nil {
		r.begin(most.Hash, false)
	}
}

// keptFailures is how many failed revisions are remembered at most.
const keptFailures = 20

// prune forgets the oldest revisions beyond the history limit. One that is in
// use, wanted or could be gone back to stays, and so do failed ones, or they
// would be tried again.
func (r *decider) prune() {
	rec := r.rec
	used := map[string]bool{rec.Target: true, r.declared: true, rec.Drift.Undo: true, rec.Held.Revision: true}
	if good := rec.good(); good != nil {
		used[good.Hash] = true
	}
	for i := range r.have.Pods {
		used[r.have.Pods[i].Revision] = true
	}
	for _, m := range r.members {
		used[m.Revision] = true
	}
	kept, failed := 0, 0
	var revisions []Revision
	for i := len(rec.Revisions) - 1; i >= 0; i-- {
		rev := rec.Revisions[i]
		switch {
		case used[rev.Hash]:
		case rev.Failure != nil && failed < keptFailures:
			failed++
		case rev.Failure == nil && kept < r.history:
			kept++
		default:
			r.Store = true
			continue
		}
		revisions = append(revisions, rev)
	}
	slices.Reverse(revisions)
	rec.Revisions = revisions
}
