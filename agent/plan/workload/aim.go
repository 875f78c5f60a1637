package workload

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/pod"
)

// aim chooses the revision that pods are made of: the declared one, or the
// last good one if that failed. It changes only when the new one can be had:
// its images are here, and a pod of it would be admitted. Until then
// everything goes on as before.
func (r *decider) aim() {
	rec := r.rec
	if r.frozen || r.declared == "" {
		r.hold("")
		return
	}
	next, back := r.declared, false
	if good := rec.good(); rec.Revision(next).Failure != nil && r.rollback && good != nil {
		next, back = good.Hash, true
	}
	if next == rec.Target {
		r.hold("")
		return
	}
	if r.gate(next).open {
		r.hold("")
		r.begin(next, back)
		return
	}
	r.hold(next)
	// What is wanted can't be had, and what is there has failed.
	target, good := rec.Revision(rec.Target), rec.good()
	if target != nil && target.Failure != nil && r.rollback && good != nil && good.Hash != next && r.gate(good.Hash).open {
		r.begin(good.Hash, true)
	}
}

// hold notes which revision waits to become the target.
func (r *decider) hold(hash string) {
	if r.rec.Held.Revision == hash {
		return
	}
	r.Store = true
	r.rec.Held = Held{Revision: hash}
	if hash != "" {
		r.rec.Held.Since = r.now
	}
}

// begin makes a revision the target. One that comes back gets a new number, as
// in Kubernetes.
func (r *decider) begin(hash string, back bool) {
	rec := r.rec
	before := rec.Revision(rec.Target)
	next := rec.Revision(hash)
	if next.Number < rec.highest() {
		next.Number = rec.highest() + 1
	}
	reason, text, kind := "RolloutStarted", r.describe(next)+" is rolled out", normal
	switch {
	case back && rec.Revision(r.declared) != nil:
		failed := rec.Revision(r.declared)
		if failed.Failure == nil {
			failed = before
		}
		reason, kind = "RolledBack", warning
		text = fmt.Sprintf("%s replaces %s, which failed: %s", r.describe(next), r.describe(failed), failed.Failure.Message)
	case before != nil:
		text = fmt.Sprintf("%s replaces %s", r.describe(next), r.describe(before))
	}
	r.say(kind, reason, text)
	rec.Target = hash
	rec.Rollout = Rollout{Began: r.now, Progress: r.now, Rollback: back, Crashes: r.crashes(hash)}
	rec.sort()
	r.Store = true
}

// gate tells whether a revision can be had.
type gate struct {
	open bool
	// why it can't, in words. It is bad if that does not go away by itself.
	why string
	bad bool
}

// gate looks whether the images of a revision are here and whether a pod of it
// would be admitted, beside this workload's pods or in the place of one. As
// long as nothing else runs there is nothing to protect: it is open.
func (r *decider) gate(hash string) gate {
	if g, known := r.gates[hash]; known {
		return g
	}
	rev := r.rec.Revision(hash)
	g := gate{open: true}
	if r.protects(hash) {
		for _, look := range []func(*Revision) gate{r.imagesOf, r.portsOf, r.roomFor} {
			if g = look(rev); !g.open {
				break
			}
		}
	}
	r.gates[hash] = g
	return g
}

// protects tells whether pods of another revision are wanted and run, or are
// about to: in a rollout that stops first there may be none for a while.
func (r *decider) protects(hash string) bool {
	ro := &r.rec.Rollout
	target := r.rec.Revision(r.rec.Target)
	switch {
	case r.n == 0:
		return false
	case target != nil && target.Hash != hash && target.Failure == nil && !ro.Settled && ro.Marks.Wanted > 0:
		return true
	}
	for i := range r.have.Pods {
		if p := &r.have.Pods[i]; !p.Stopping && p.Revision != hash {
			return true
		}
	}
	return false
}

func (r *decider) imagesOf(rev *Revision) gate {
	var missing, problems []string
	for _, c := range containers(&rev.Template.Spec) {
		image := Image{Name: r.imageName(rev, c), Revision: rev.Hash}
		f := r.have.Images[image]
		if f.Present || r.fetches(image) {
			continue
		}
		r.Fetch = append(r.Fetch, Fetch{Image: image, Policy: r.pullPolicy(rev, c), Secrets: rev.Template.Spec.ImagePullSecrets})
		if f.Problem != "" {
			problems = append(problems, fmt.Sprintf("image %s can't be had: %s", image.Name, f.Problem))
		} else {
			missing = append(missing, fmt.Sprintf("image %s is fetched first", image.Name))
		}
	}
	return gate{open: len(missing)+len(problems) == 0, bad: len(problems) > 0, why: strings.Join(append(problems, missing...), "; ")}
}

func (r *decider) fetches(image Image) bool {
	for i := range r.Fetch {
		if r.Fetch[i].Image == image {
			return true
		}
	}
	return false
}

func (r *decider) portsOf(rev *Revision) gate {
	for _, hp := range pod.HostPorts(&rev.Template.Spec) {
		for _, t := range r.have.Taken {
			if hp.Clashes(t.HostPort) {
				return gate{bad: true, why: fmt.Sprintf("host port %s is taken by %s", hp, t.By)}
			}
		}
	}
	return gate{open: true}
}

// roomFor looks whether one more pod of a revision fits, or would in the place
// of one that runs; none is asked for where one of it runs. What is on its way
// out may make room as well, and what can't start has none.
func (r *decider) roomFor(rev *Revision) gate {
	asked := requests(&rev.Template.Spec)
	free := r.have.Free
	live := 0
	for i := range r.have.Pods {
		p := &r.have.Pods[i]
		if p.Stopping || p.Revision == rev.Hash && p.Blocked == "" {
			return gate{open: true}
		}
		live++
		if other := r.rec.Revision(p.Revision); other != nil && p.Blocked != "" {
			free = plus(free, requests(&other.Template.Spec))
		}
	}
	if fits(asked, free) > 0 || live > r.n+r.orderOf(rev).surge {
		return gate{open: true}
	}
	for i := range r.have.Pods {
		p := &r.have.Pods[i]
		other := r.rec.Revision(p.Revision)
		if other == nil || p.Revision == rev.Hash || p.Blocked != "" {
			continue
		}
		if fits(asked, plus(free, requests(&other.Template.Spec))) > 0 {
			return gate{open: true}
		}
	}
	return gate{bad: true, why: fmt.Sprintf("a pod of it requests %s, and there is no room for that, not even in the place of one that runs (free: %s)",
		listText(asked), listText(free))}
}

// plus is what is free, and more of it.
func plus(free, more corev1.ResourceList) corev1.ResourceList {
	sum := corev1.ResourceList{}
	for name, q := range free {
		total := q.DeepCopy()
		total.Add(more[name])
		sum[name] = total
	}
	return sum
}

// fits is how many pods with such requests fit into what is free.
func fits(asked, free corev1.ResourceList) int {
	const plenty = 1 << 30
	n := int64(plenty)
	for name, q := range asked {
		have, limited := free[name]
		if limited && !q.IsZero() {
			n = min(n, max(milli(have, name), 0)/milli(q, name))
		}
	}
	return int(n)
}

// milli is a quantity as a number: thousandths of cpus, bytes of memory.
func milli(q resource.Quantity, name corev1.ResourceName) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

func requests(spec *corev1.PodSpec) corev1.ResourceList {
	return pod.Requests(&corev1.Pod{Spec: *spec})
}

func listText(list corev1.ResourceList) string {
	var parts []string
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if q, ok := list[name]; ok {
			parts = append(parts, fmt.Sprintf("%s of %s", q.String(), name))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, " and ")
}

func containers(spec *corev1.PodSpec) []*corev1.Container {
	var list []*corev1.Container
	for _, l := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range l {
			list = append(list, &l[i])
		}
	}
	return list
}
