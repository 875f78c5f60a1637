package validation

import (
	"math"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// spec checks what belongs to the pod as a whole.
func (c *checker) spec(s *corev1.PodSpec, at *field.Path) {
	oneOf(c, at.Child("restartPolicy"), s.RestartPolicy,
		corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
	c.durations(s, at)
	c.placement(s, at)
	c.hostNames(s, at)
	c.dns(s, at)
	if s.HostPID && isTrue(s.ShareProcessNamespace) {
		c.refuse(at.Child("shareProcessNamespace"), pod.ReasonInvalid, finding{
			"and hostPID can't both be true: the containers would share the host's processes already", "true", "one of the two"})
	}
	c.platform(s, at)
	c.podSecurity(s.SecurityContext, at.Child("securityContext"))
}

func (c *checker) durations(s *corev1.PodSpec, at *field.Path) {
	if grace := s.TerminationGracePeriodSeconds; grace != nil {
		c.inRange(at.Child("terminationGracePeriodSeconds"), pod.ReasonInvalid, *grace, 0, c.limits.GraceSeconds)
	}
	if deadline := s.ActiveDeadlineSeconds; deadline != nil {
		c.inRange(at.Child("activeDeadlineSeconds"), pod.ReasonInvalid, *deadline, 1, math.MaxInt32)
	}
}

// platform refuses what this host is not. The Pod Security Standards forgive
// Windows pods and pods with a user namespace much that podstead would then
// run without either, so neither may get as far as package policy.
func (c *checker) platform(s *corev1.PodSpec, at *field.Path) {
	if s.OS != nil && s.OS.Name != corev1.Linux {
		c.refuse(at.Child("os", "name"), pod.ReasonUnsupportedField, finding{
			"can't be run: podstead runs Linux containers", quote(string(s.OS.Name)), "linux"})
	}
	if s.HostUsers != nil && !*s.HostUsers {
		c.refuse(at.Child("hostUsers"), pod.ReasonUnsupportedField, finding{
			"can't be had: podstead makes no user namespaces", "false", "true, or the field left out"})
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

func itoa[T ~int | ~int32 | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }
