package sandbox

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxHostname is the longest host name that DNS labels allow.
const maxHostname = 63

// Hostname returns the host name of a pod that does not use the host's:
// spec.hostname, or else the pod's name, cut to 63 characters and not ending
// in a dash or dot.
func Hostname(p *corev1.Pod) string {
	name := p.Spec.Hostname
	if name == "" {
		name = p.Name
	}
	if len(name) > maxHostname {
		name = strings.TrimRight(name[:maxHostname], "-.")
	}
	return name
}
