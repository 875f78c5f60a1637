package workload

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// alwaysPullAnnotation names the containers of a pod that have imagePullPolicy
// Always in its template and IfNotPresent in the pod.
const alwaysPullAnnotation = "rollout.podstead.dev/always-pull"

// returns tells whether a revision was good before and is gone back to, by
// itself or by undo. It waits for no registry then: its images ran here, and
// what is present suffices.
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

// pullNothing has a pod start from the images that are here.
func pullNothing(p *corev1.Pod) {
	spec := p.Spec.DeepCopy()
	var names []string
	for _, c := range containers(spec) {
		if c.ImagePullPolicy == corev1.PullAlways {
			c.ImagePullPolicy = corev1.PullIfNotPresent
			names = append(names, c.Name)
		}
	}
	if len(names) > 0 {
		p.Spec = *spec
		p.Annotations = with(p.Annotations, alwaysPullAnnotation, strings.Join(names, ","))
	}
}

// templateOf reads the template back that a pod was made of.
func templateOf(p *corev1.Pod, hashLabel string) *corev1.PodTemplateSpec {
	t := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Finalizers: p.Finalizers}, Spec: p.Spec}
	t.Labels, t.Annotations = maps.Clone(p.Labels), maps.Clone(p.Annotations)
	delete(t.Labels, hashLabel)
	delete(t.Annotations, RevisionAnnotation)
	if changed, is := t.Annotations[alwaysPullAnnotation]; is {
		delete(t.Annotations, alwaysPullAnnotation)
		t.Spec = *p.Spec.DeepCopy()
		for _, c := range containers(&t.Spec) {
			if slices.Contains(strings.Split(changed, ","), c.Name) {
				c.ImagePullPolicy = corev1.PullAlways
			}
		}
	}
	return t
}
