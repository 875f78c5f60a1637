package names

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Host is what a pod's resolver depends on of the host: the contents of
// files, nil where there is none.
type Host struct {
	// ResolvConf is /etc/resolv.conf.
	ResolvConf []byte
	// Upstream is /run/systemd/resolve/resolv.conf: the servers that
	// systemd-resolved asks, where the host's own file names only that.
	Upstream []byte
	// NameServers are the addresses at which pods find Services by name; none
	// where nobody serves those.
	NameServers []string
}

// DNS returns the resolver of a pod and, for people, what it lacks of what
// was asked for. Without NameServers every policy but None is Default, as in
// Kubernetes where no cluster DNS is configured.
func DNS(p *corev1.Pod, host Host) (Resolver, []string) {
	var r Resolver
	var notes []string
	switch {
	case p.Spec.DNSPolicy == corev1.DNSNone:
	case len(host.NameServers) > 0 && clusterFirst(p):
		r = host.cluster(p.Namespace)
	default:
		r = host.resolver(p.Spec.HostNetwork)
	}
	if c := p.Spec.DNSConfig; c != nil {
		r.Servers = mergeLists(r.Servers, c.Nameservers)
		r.Searches = mergeLists(r.Searches, c.Searches)
		r.Options = mergeOptions(r.Options, options(c.Options))
	}
	if len(r.Servers) == 0 {
		notes = append(notes, "names can't be looked up: the host's /etc/resolv.conf names no server that a pod can reach; "+
			"name one in it, or in spec.dnsConfig.nameservers")
	}
	return r.bounded(notes)
}

// clusterFirst tells whether a pod finds Services by name. On the host's
// network it has to ask for that.
func clusterFirst(p *corev1.Pod) bool {
	return p.Spec.DNSPolicy == corev1.DNSClusterFirstWithHostNet || p.Spec.DNSPolicy == corev1.DNSClusterFirst && !p.Spec.HostNetwork
}

// cluster is the resolver of pods that find Services by name, that of
// Kubernetes: names of fewer than five dots are looked for in the pod's
// namespace first, and in the host's own domains last. The host's options are
// about the host's servers.
func (h Host) cluster(namespace string) Resolver {
	const services = "svc." + ClusterDomain
	return Resolver{
		Servers:  h.NameServers,
		Searches: mergeLists([]string{namespace + "." + services, services, ClusterDomain}, ParseResolvConf(h.ResolvConf).Searches),
		Options:  []string{"ndots:5"},
	}
}

// resolver is the host's, as far as it is of use to a pod.
func (h Host) resolver(hostNetwork bool) Resolver {
	own := ParseResolvConf(h.ResolvConf)
	if hostNetwork {
		return own
	}
	usable := own.reachable()
	if len(usable.Servers) == 0 && h.Upstream != nil {
		usable = ParseResolvConf(h.Upstream).reachable()
	}
	return usable
}

// options writes the options of a pod as resolv.conf has them.
func options(list []corev1.PodDNSConfigOption) []string {
	out := make([]string, len(list))
	for i, o := range list {
		out[i] = o.Name
		if o.Value != nil && *o.Value != "" {
			out[i] += ":" + *o.Value
		}
	}
	return out
}

// bounded cuts what the C library would not read, and says so.
func (r Resolver) bounded(notes []string) (Resolver, []string) {
	if n := len(r.Servers); n > maxServers {
		notes = append(notes, fmt.Sprintf("of %d name servers only the first %d are used: %s; left out: %s",
			n, maxServers, strings.Join(r.Servers[:maxServers], " "), strings.Join(r.Servers[maxServers:], " ")))
		r.Servers = r.Servers[:maxServers]
	}
	kept := min(len(r.Searches), maxSearches)
	for kept > 0 && len(strings.Join(r.Searches[:kept], " ")) > maxSearchesBytes {
		kept--
	}
	if n := len(r.Searches); n > kept {
		notes = append(notes, fmt.Sprintf("of %d search domains only the first %d are used: at most %d, of %d characters together, are read",
			n, kept, maxSearches, maxSearchesBytes))
		r.Searches = r.Searches[:kept]
	}
	return r, notes
}
