package policy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	psa "k8s.io/pod-security-admission/policy"
)

// A check that a newer library brings is enforced and explained before this
// package knows its fields.
func TestAnUnknownCheckIsExplainedInTheLibrarysWords(t *testing.T) {
	c := check{id: "brandNew", run: func(_ *metav1.ObjectMeta, s *corev1.PodSpec) psa.CheckResult {
		return psa.CheckResult{Allowed: len(s.Containers) < 2}
	}}
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: make([]corev1.Container, 2)}}
	places := c.places(p, psa.CheckResult{ForbiddenDetail: "two containers"})
	if len(places) != 1 || places[0].at.String() != "spec" || places[0].got != "two containers" {
		t.Errorf("places are %+v", places)
	}
}

func TestAnUnknownCheckOfContextsNamesTheContext(t *testing.T) {
	c := check{id: "brandNew", run: func(_ *metav1.ObjectMeta, s *corev1.PodSpec) psa.CheckResult {
		return psa.CheckResult{Allowed: s.SecurityContext == nil}
	}}
	p := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{}}}
	if places := c.places(p, psa.CheckResult{}); len(places) != 1 || places[0].at.String() != "spec.securityContext" {
		t.Errorf("places are %+v", places)
	}
}

func TestEveryCheckOfTheLibraryHasASubject(t *testing.T) {
	for _, c := range psa.DefaultChecks() {
		if subjectOf(c.ID).want == "" {
			t.Errorf("check %q is not known: say which field it is about", c.ID)
		}
	}
}
