package service

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/podstead/podstead/pod"
)

// names is what pods find under a Service's name.
func (r *resolver) names(s *service) pod.NamedService {
	n := pod.NamedService{Key: s.key}
	switch {
	case s.spec.Type == corev1.ServiceTypeExternalName:
		n.ExternalName = s.spec.ExternalName
	case s.isHeadless():
		n.Members = r.members(s)
	default:
		n.IPs = s.given.ClusterIPs
		for _, p := range s.spec.Ports {
			n.Ports = append(n.Ports, pod.NamedPort{Name: p.Name, Protocol: p.Protocol, Port: p.Port})
		}
	}
	return n
}

// members are the endpoints of a headless Service. A pod has a name of its own
// there if its subdomain is the Service's name.
func (r *resolver) members(s *service) []pod.NamedMember {
	families := r.families(s)
	var list []pod.NamedMember
	add := func(m pod.NamedMember) {
		m.IPs = slices.DeleteFunc(slices.Clone(m.IPs), func(ip string) bool {
			a := parse([]string{ip})
			return len(a) == 0 || !slices.Contains(families, a[0].Is6())
		})
		if len(m.IPs) > 0 {
			list = append(list, m)
		}
	}
	for _, p := range r.targets(s) {
		m := pod.NamedMember{IPs: p.IPs}
		if p.Spec.Hostname != "" && p.Spec.Subdomain == s.key.Name {
			m.Hostname = p.Spec.Hostname
		}
		for i := range s.spec.Ports {
			if n, ok := targetPort(p, &s.spec.Ports[i]); ok {
				m.Ports = append(m.Ports, pod.NamedPort{Name: s.spec.Ports[i].Name, Protocol: s.spec.Ports[i].Protocol, Port: n})
			}
		}
		add(m)
	}
	for _, o := range r.slices[s.key] {
		for i := range o.EndpointSlice.Endpoints {
			m := pod.NamedMember{IPs: r.usable(s, o, i), Ports: slicePorts(o.EndpointSlice)}
			if name := o.EndpointSlice.Endpoints[i].Hostname; name != nil {
				m.Hostname = *name
			}
			add(m)
		}
	}
	slices.SortFunc(list, func(a, b pod.NamedMember) int {
		return cmp.Or(cmp.Compare(a.Hostname, b.Hostname), compareIPs(a.IPs[0], b.IPs[0]))
	})
	return list
}

func slicePorts(s *discoveryv1.EndpointSlice) []pod.NamedPort {
	var ports []pod.NamedPort
	for _, p := range s.Ports {
		if p.Port == nil {
			continue
		}
		n := pod.NamedPort{Protocol: corev1.ProtocolTCP, Port: *p.Port}
		if p.Name != nil {
			n.Name = *p.Name
		}
		if p.Protocol != nil {
			n.Protocol = *p.Protocol
		}
		ports = append(ports, n)
	}
	return ports
}
