package validation

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Containers visits every container of a pod's spec, which stands at the given
// path, with its own path, over all lists: init containers, containers,
// ephemeral containers. Whatever judges containers goes through here, so that
// no list is forgotten.
func Containers(s *corev1.PodSpec, spec *field.Path) iter.Seq2[*field.Path, *corev1.Container] {
	return func(yield func(*field.Path, *corev1.Container) bool) {
		for i := range s.InitContainers {
			if !yield(spec.Child("initContainers").Index(i), &s.InitContainers[i]) {
				return
			}
		}
		for i := range s.Containers {
			if !yield(spec.Child("containers").Index(i), &s.Containers[i]) {
				return
			}
		}
		for i := range s.EphemeralContainers {
			common := corev1.Container(s.EphemeralContainers[i].EphemeralContainerCommon)
			if !yield(spec.Child("ephemeralContainers").Index(i), &common) {
				return
			}
		}
	}
}
