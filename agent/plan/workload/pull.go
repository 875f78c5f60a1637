package workload

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What pods of a revision that is gone back to have otherwise than in its
// template.
const (
	// alwaysPullAnnotation names the containers that have imagePullPolicy
	// Always in the template and IfNotPresent in the pod.
	alwaysPullAnnotation = "rollout.podstead.dev/always-pull"
	// pinnedAnnotation names those of which the image has its digest behind its
	// name in the pod alone.
	pinnedAnnotation = "rollout.podstead.dev/pinned-images"
)

// returns tells whether a revision was good before and is gone back to, by
// itself or by undo. It runs the very images that it ran, and waits for no
// registry if they are present.
func (r *decider) returns(rev *Revision) bool {
	return rev.Good && (rev.Hash == r.rec.Drift.Undo || r.declared != "" && rev.Hash != r.declared)
}

// pullPolicy is that by which an image of a revision is fetched.
func (r *decider) pullPolicy(rev *Revision, c *corev1.Container) corev1.PullPolicy {
	if c.ImagePullPolicy == corev1.PullAlways && r.returns(rev) {
		return corev1.PullIfNotPresent
	}
	return c.ImagePullPolicy
}

// asBefore has a pod run what its revision ran, from the images that are here.
func asBefore(p *corev1.Pod, rev *Revision) {
	spec := p.Spec.DeepCopy()
	var always, pinned []string
	for _, c := range containers(spec) {
		if c.ImagePullPolicy == corev1.PullAlways {
			c.ImagePullPolicy = corev1.PullIfNotPresent
			always = append(always, c.Name)
		}
		if image := rev.ranImage(c); image != c.Image {
			c.Image = image
			pinned = append(pinned, c.Name)
		}
	}
	p.Spec = *spec
	if len(always) > 0 {
		p.Annotations = with(p.Annotations, alwaysPullAnnotation, strings.Join(always, ","))
	}
	if len(pinned) > 0 {
		p.Annotations = with(p.Annotations, pinnedAnnotation, strings.Join(pinned, ","))
	}
}

// templateOf reads the template back that a pod was made of.
func templateOf(p *corev1.Pod, hashLabel string) *corev1.PodTemplateSpec {
	t := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Finalizers: p.Finalizers}, Spec: p.Spec}
	t.Labels, t.Annotations = maps.Clone(p.Labels), maps.Clone(p.Annotations)
	delete(t.Labels, hashLabel)
	delete(t.Annotations, RevisionAnnotation)
	change := func(annotation string, back func(*corev1.Container)) {
		names, is := t.Annotations[annotation]
		if !is {
			return
		}
		delete(t.Annotations, annotation)
		t.Spec = *t.Spec.DeepCopy()
		for _, c := range containers(&t.Spec) {
			if slices.Contains(strings.Split(names, ","), c.Name) {
				back(c)
			}
		}
	}
	change(alwaysPullAnnotation, func(c *corev1.Container) { c.ImagePullPolicy = corev1.PullAlways })
	change(pinnedAnnotation, func(c *corev1.Container) { c.Image, _, _ = strings.Cut(c.Image, "@") })
	return t
}
