// Package names says what a pod is called and what its containers find in
// /etc/hosts, /etc/hostname and /etc/resolv.conf. It is a pure function of
// the pod, its addresses and the contents of the host's own files; formats
// and rules are the kubelet's.
package names

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// ClusterDomain is the last part of the domain of pods with a subdomain:
// SUBDOMAIN.NAMESPACE.svc.cluster.local.
const ClusterDomain = pod.ClusterDomain

const (
	// maxLabel is the longest label of a DNS name.
	maxLabel = 63
	// maxKernel is the longest host name that Linux takes.
	maxKernel = 64
)

// Names is what a pod is called.
type Names struct {
	// Host is the host name alone, which is not always one label: the name of
	// a pod may have dots.
	Host string
	// Domain is what Host is followed by in the fully qualified name; empty
	// for a pod without a subdomain.
	Domain string
	// Kernel is what the program hostname prints: Host, or with
	// setHostnameAsFQDN the fully qualified name.
	Kernel string
}

// Of returns the names of a pod that does not use the host's. Host is
// spec.hostnameOverride, else spec.hostname, else the pod's name, cut to 63
// characters and not ending in a dash or dot. A fully qualified name that
// the kernel would not take is a *pod.Refused.
func Of(p *corev1.Pod) (Names, error) {
	if override := p.Spec.HostnameOverride; override != nil && *override != "" {
		return Names{Host: *override, Kernel: *override}, nil
	}
	n := Names{Host: p.Name}
	if p.Spec.Hostname != "" {
		n.Host = p.Spec.Hostname
	}
	if len(n.Host) > maxLabel {
		n.Host = strings.TrimRight(n.Host[:maxLabel], "-.")
	}
	if p.Spec.Subdomain != "" {
		n.Domain = p.Spec.Subdomain + "." + p.Namespace + ".svc." + ClusterDomain
	}
	n.Kernel = n.Host
	if as := p.Spec.SetHostnameAsFQDN; as != nil && *as {
		n.Kernel = n.Qualified()
	}
	if len(n.Kernel) > maxKernel {
		return n, &pod.Refused{Reason: "FailedCreatePodSandBox", Message: fmt.Sprintf(
			"pod %s/%s: spec.setHostnameAsFQDN: the name %s has %d characters, and a host name of Linux at most %d: "+
				"the pod does not start; shorten hostname or subdomain, or leave setHostnameAsFQDN out",
			p.Namespace, p.Name, n.Kernel, len(n.Kernel), maxKernel)}
	}
	return n, nil
}

// Qualified is Host with its domain, or Host alone where there is none.
func (n Names) Qualified() string {
	if n.Domain == "" {
		return n.Host
	}
	return n.Host + "." + n.Domain
}
