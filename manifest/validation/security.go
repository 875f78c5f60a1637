package validation

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

func (c *checker) podSecurity(s *corev1.PodSecurityContext, at *field.Path) {
	if s == nil {
		return
	}
	c.id(s.RunAsUser, at.Child("runAsUser"))
	c.id(s.RunAsGroup, at.Child("runAsGroup"))
	c.id(s.FSGroup, at.Child("fsGroup"))
	for i := range s.SupplementalGroups {
		c.id(&s.SupplementalGroups[i], at.Child("supplementalGroups").Index(i))
	}
	if s.SupplementalGroupsPolicy != nil {
		oneOf(c, at.Child("supplementalGroupsPolicy"), *s.SupplementalGroupsPolicy,
			corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)
	}
	if s.FSGroupChangePolicy != nil {
		oneOf(c, at.Child("fsGroupChangePolicy"), *s.FSGroupChangePolicy, corev1.FSGroupChangeOnRootMismatch, corev1.FSGroupChangeAlways)
	}
	c.seccomp(s.SeccompProfile, at.Child("seccompProfile"))
	c.sysctls(s.Sysctls, at.Child("sysctls"))
}

// security checks a container's security context. It is called for containers
// without one too: what the pod says then holds for them.
func (c *checker) security(s *corev1.SecurityContext, at *field.Path) {
	if s == nil {
		s = &corev1.SecurityContext{}
	}
	c.capabilities(s.Capabilities, at.Child("capabilities"))
	c.id(s.RunAsUser, at.Child("runAsUser"))
	c.id(s.RunAsGroup, at.Child("runAsGroup"))
	c.nonRoot(s, at)
	c.escalation(s, at.Child("allowPrivilegeEscalation"))
	if s.ProcMount != nil {
		oneOf(c, at.Child("procMount"), *s.ProcMount, corev1.DefaultProcMount, corev1.UnmaskedProcMount)
	}
	c.seccomp(s.SeccompProfile, at.Child("seccompProfile"))
}

// id refuses user and group ids beyond 31 bits: larger ones have been taken
// for names, and so for root (CVE-2024-40635).
func (c *checker) id(id *int64, at *field.Path) {
	if id != nil {
		c.inRange(at, pod.ReasonInvalid, *id, 0, math.MaxInt32)
	}
}

// nonRoot refuses a container that could never start: it must not be root and
// is told to be. The error is for the field that is nearest to the container;
// the pod's own fields are named once.
func (c *checker) nonRoot(s *corev1.SecurityContext, at *field.Path) {
	nonRoot, user, userAt := s.RunAsNonRoot, s.RunAsUser, at.Child("runAsUser")
	if p := c.pod.Spec.SecurityContext; p != nil {
		if user == nil {
			user, userAt = p.RunAsUser, c.at.Child("spec", "securityContext", "runAsUser")
		}
		if nonRoot == nil {
			nonRoot = p.RunAsNonRoot
		}
	}
	if !isTrue(nonRoot) || user == nil || *user != 0 {
		return
	}
	if inherited := s.RunAsUser == nil; inherited {
		if c.rootReported {
			return
		}
		c.rootReported = true
	}
	c.refuse(userAt, pod.ReasonInvalid, finding{"is root, and runAsNonRoot is true", "0", "1 to 2147483647, or runAsNonRoot: false"})
}

// escalation refuses contradictions: these containers can't be kept from
// gaining privileges, they have them.
func (c *checker) escalation(s *corev1.SecurityContext, at *field.Path) {
	if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
		return
	}
	if isTrue(s.Privileged) {
		c.refuse(at, pod.ReasonInvalid, finding{"contradicts privileged: true", "false", "true, or privileged: false"})
	}
	if s.Capabilities != nil && grants(s.Capabilities.Add, "SYS_ADMIN") {
		c.refuse(at, pod.ReasonInvalid, finding{"contradicts the added capability SYS_ADMIN", "false", "true, or the capability left out"})
	}
}

func (c *checker) seccomp(s *corev1.SeccompProfile, at *field.Path) {
	if s == nil {
		return
	}
	if s.Type == "" {
		c.refuse(at.Child("type"), pod.ReasonRequired, finding{message: "is required", want: "RuntimeDefault, Localhost or Unconfined"})
	}
	oneOf(c, at.Child("type"), s.Type, corev1.SeccompProfileTypeRuntimeDefault,
		corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeUnconfined)
	profile := at.Child("localhostProfile")
	local := s.Type == corev1.SeccompProfileTypeLocalhost
	switch {
	// An empty name has meant "unconfined" before (CVE-2023-2431).
	case local && (s.LocalhostProfile == nil || *s.LocalhostProfile == ""):
		c.refuse(profile, pod.ReasonRequired, finding{message: "is required with type Localhost", want: "a file below the folder of seccomp profiles"})
	case local:
		c.descendingPath(profile, pod.ReasonInvalid, *s.LocalhostProfile)
	case s.LocalhostProfile != nil:
		c.refuse(profile, pod.ReasonInvalid, finding{"is only for type Localhost", quote(*s.LocalhostProfile), "the field left out"})
	}
}
