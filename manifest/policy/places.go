package policy

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	psa "k8s.io/pod-security-admission/policy"

	"github.com/podstead/podstead/manifest/validation"
)

// place is a field that a check refuses.
type place struct {
	at        *field.Path
	got, want string
}

// part is a pod with nothing in it but one field of another pod, and what
// that field needs around it.
type part struct {
	at   *field.Path
	got  string
	spec corev1.PodSpec
	meta metav1.ObjectMeta
}

// places finds the fields behind a refusal. The library only names containers
// and values, so each part of the pod is shown to the check alone: the check
// stays the one that decides. When no part is refused, the whole spec is
// named with the library's own words.
func (c check) places(p *corev1.Pod, result psa.CheckResult) []place {
	s := subjectOf(c.id)
	refused := func(pt part) bool {
		pt.spec.OS, pt.spec.HostUsers = p.Spec.OS, p.Spec.HostUsers
		return !c.run(&pt.meta, &pt.spec).Allowed
	}
	var found []place
	for _, pt := range slices.Concat(podParts(p, s), containerParts(p, s, refused)) {
		if refused(pt) {
			found = append(found, place{pt.at, pt.got, s.want})
		}
	}
	if len(found) == 0 {
		return []place{{at: field.NewPath("spec"), got: result.ForbiddenDetail}}
	}
	return found
}

// podParts takes apart what is outside the containers.
func podParts(p *corev1.Pod, s subject) []part {
	spec := field.NewPath("spec")
	parts := annotationParts(p.Annotations)
	if p.Spec.HostNetwork {
		parts = append(parts, part{at: spec.Child("hostNetwork"), got: "true", spec: corev1.PodSpec{HostNetwork: true}})
	}
	if p.Spec.HostPID {
		parts = append(parts, part{at: spec.Child("hostPID"), got: "true", spec: corev1.PodSpec{HostPID: true}})
	}
	if p.Spec.HostIPC {
		parts = append(parts, part{at: spec.Child("hostIPC"), got: "true", spec: corev1.PodSpec{HostIPC: true}})
	}
	return slices.Concat(parts, contextParts(p.Spec.SecurityContext, s), volumeParts(p.Spec.Volumes))
}

func annotationParts(annotations map[string]string) []part {
	var parts []part
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		parts = append(parts, part{
			at: field.NewPath("metadata", "annotations").Key(key), got: quoted(annotations[key]),
			meta: metav1.ObjectMeta{Annotations: map[string]string{key: annotations[key]}},
		})
	}
	return parts
}

func contextParts(context *corev1.PodSecurityContext, s subject) []part {
	if context == nil {
		return nil
	}
	at := field.NewPath("spec", "securityContext")
	rest := context.DeepCopy()
	rest.Sysctls = nil
	whole := s.in(at, rest)
	whole.spec.SecurityContext = rest
	parts := []part{whole}
	for i, sysctl := range context.Sysctls {
		one := &corev1.PodSecurityContext{Sysctls: context.Sysctls[i : i+1]}
		parts = append(parts, part{
			at: at.Child("sysctls").Index(i), got: quoted(sysctl.Name), spec: corev1.PodSpec{SecurityContext: one}})
	}
	return parts
}

func volumeParts(volumes []corev1.Volume) []part {
	var parts []part
	for i := range volumes {
		at, got := field.NewPath("spec", "volumes").Index(i), quoted(volumes[i].Name)
		if kinds := keys(volumes[i].VolumeSource); len(kinds) > 0 {
			at, got = at.Child(kinds[0]), kinds[0]
		}
		if host := volumes[i].HostPath; host != nil {
			at, got = at.Child("path"), quoted(host.Path)
		}
		parts = append(parts, part{at: at, got: got, spec: corev1.PodSpec{Volumes: volumes[i : i+1]}})
	}
	return parts
}

// containerParts takes the containers apart, each within the pod's context.
// Where the pod's own context is refused it is reported for the pod, and left
// is what containers set themselves.
func containerParts(p *corev1.Pod, s subject, refused func(part) bool) []part {
	around := p.Spec.SecurityContext
	alone := refused(part{spec: corev1.PodSpec{SecurityContext: around}})
	if alone {
		around = nil
	}
	var parts []part
	for at, k := range validation.Containers(&p.Spec, field.NewPath("spec")) {
		for _, pt := range s.ofContainer(at, k) {
			if alone && pt.got == notSet {
				continue
			}
			pt.spec.SecurityContext = around
			parts = append(parts, pt)
		}
	}
	return parts
}

// notSet stands for the value of a field that is missing.
const notSet = "not set"

func quoted(s string) string { return fmt.Sprintf("%q", s) }
