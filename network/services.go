package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/knftables"

	"github.com/podstead/podstead/pod"
)

// Names of the table's sets and maps for Services; all are of one family and
// end in 4 or 6.
const (
	services     = "services"      // protocol, address and port → the chain of a Service's port
	nodePorts    = "node-ports"    // protocol and port of any address of the host → the same
	refused      = "refused"       // protocol, address of the host and port without endpoints
	refusedPorts = "refused-ports" // protocol and port of any address of the host without endpoints
	outside      = "outside"       // endpoints that are no pods: protocol, address and port
)

func (r *ruleset) declareServices() {
	for _, f := range families() {
		r.mapping(services+f.digit, "inet_proto . "+f.address+" . inet_service : verdict")
		r.mapping(nodePorts+f.digit, "inet_proto . inet_service : verdict")
		r.set(refused+f.digit, "inet_proto . "+f.address+" . inet_service")
		r.set(refusedPorts+f.digit, "inet_proto . inet_service")
		r.set(outside+f.digit, "inet_proto . "+f.address+" . inet_service")
	}
}

// find leads to the chains of Services' ports, by one look each however many
// there are.
func (r *ruleset) find() {
	for _, f := range families() {
		at := fmt.Sprintf("meta l4proto . %s daddr . th dport vmap @%s", f.word, services+f.digit)
		r.add("cluster-ips", at)
		r.add("host-ips", at)
		r.add("node-ports", fmt.Sprintf("meta nfproto %s meta l4proto . th dport vmap @%s", f.protocol, nodePorts+f.digit))
	}
}

// serviceRules adds Services to a table.
type serviceRules struct {
	*ruleset
	// inUse are the ranges in which a Service may have an address.
	inUse []netip.Prefix
	// inside tells of addresses that answer through this host anyway.
	inside func(netip.Addr) bool
	// forwarder serves TCP ports on [::1], which need no refusal then.
	forwarder bool
}

// insideOf are the addresses of pods, those on the host's network included.
func insideOf(c pod.NetworkConfig, ranges []netip.Prefix, hostIPs []string) func(netip.Addr) bool {
	pods := map[netip.Addr]bool{}
	for _, ip := range parse(hostIPs) {
		pods[ip] = true
	}
	for _, p := range c.Pods {
		for _, text := range p.IPs {
			if ip, err := netip.ParseAddr(text); err == nil {
				pods[ip] = true
			}
		}
	}
	return func(ip netip.Addr) bool {
		return pods[ip] || slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
}

func (s serviceRules) service(service *pod.Service) {
	clusterIPs := slices.DeleteFunc(parse(service.ClusterIPs), func(ip netip.Addr) bool { return !within(s.inUse, ip) })
	hostIPs := parse(service.HostIPs)
	for i := range service.Ports {
		p := &service.Ports[i]
		for _, six := range []bool{false, true} {
			of := func(ip netip.Addr) bool { return ip.Is6() == six }
			s.entry(&entry{service: service, port: p, family: familyIf(six), clusterIPs: only(clusterIPs, of), hostIPs: only(hostIPs, of), endpoints: endpointsOf(p, six)})
		}
		forwarded := s.forwarder && p.Protocol == corev1.ProtocolTCP
		for _, number := range onLoopback(p, hostIPs) {
			if !forwarded || number != p.NodePort {
				s.element(&knftables.Element{Set: loopback + "6", Key: []string{protocol(p.Protocol), port(number)}})
			}
		}
	}
}

// onLoopback are the numbers under which a port is open on the host's own
// loopback: its node port, and its own if the load balancer is there.
func onLoopback(p *pod.ServicePort, hostIPs []netip.Addr) []int32 {
	var numbers []int32
	if p.NodePort != 0 {
		numbers = append(numbers, p.NodePort)
	}
	if slices.ContainsFunc(hostIPs, netip.Addr.IsLoopback) {
		numbers = append(numbers, p.Port)
	}
	return numbers
}

// entry is one port of a Service in one family.
type entry struct {
	// own is set for what podstead itself offers: its name.
	own                 string
	service             *pod.Service
	port                *pod.ServicePort
	family              ipFamily
	clusterIPs, hostIPs []netip.Addr
	endpoints           []netip.AddrPort
}

func (s serviceRules) entry(e *entry) {
	d, proto := e.family.digit, protocol(e.port.Protocol)
	if len(e.endpoints) == 0 {
		for _, ip := range e.hostIPs {
			s.element(&knftables.Element{Set: refused + d, Key: []string{proto, ip.String(), port(e.port.Port)}})
		}
		if e.port.NodePort != 0 {
			s.element(&knftables.Element{Set: refusedPorts + d, Key: []string{proto, port(e.port.NodePort)}})
		}
		return
	}
	for _, to := range e.endpoints {
		if s.inside(to.Addr()) {
			continue
		}
		s.element(&knftables.Element{Set: outside + d, Key: []string{proto, to.Addr().String(), port(int32(to.Port()))}})
		if d == "4" { // Nothing that leaves the host may be from its loopback.
			for _, number := range onLoopback(e.port, e.hostIPs) {
				s.element(&knftables.Element{Set: loopback + d, Key: []string{proto, port(number)}})
			}
		}
	}
	// A Service's port leads to its endpoints whatever address was asked for.
	chain, entered := e.chain(), false
	for _, ip := range slices.Concat(e.clusterIPs, e.hostIPs) {
		entered = s.enter(services+d, chain, proto, ip.String(), port(e.port.Port)) || entered
	}
	if e.port.NodePort != 0 {
		entered = s.enter(nodePorts+d, chain, proto, port(e.port.NodePort)) || entered
	}
	switch {
	case !entered:
	case e.service.Affinity > 0:
		s.stick(e)
	default:
		s.add(chain, e.share())
	}
}

// enter leads a key to a chain. It tells whether it could: the first Service
// that has a key keeps it.
func (s serviceRules) enter(to, chain string, key ...string) bool {
	e := &knftables.Element{Map: to, Key: key, Value: []string{"goto " + chain}}
	s.element(e)
	return s.elements[to+" "+strings.Join(key, " . ")] == e
}

// chain is the name of the chain that leads to the endpoints. What podstead
// itself offers is named as no Service is.
func (e *entry) chain() string {
	if e.own != "" {
		return fmt.Sprintf("own/%s/%d/%s/%s", e.own, e.port.Port, protocol(e.port.Protocol), e.family.protocol)
	}
	return fmt.Sprintf("service/%s/%s/%d/%s/%s", e.service.Key.Namespace, e.service.Key.Name, e.port.Port, protocol(e.port.Protocol), e.family.protocol)
}

// lead is the rule that leads to one endpoint.
func (e *entry) lead(to netip.AddrPort) string {
	return fmt.Sprintf("meta l4proto %s dnat %s to %s", protocol(e.port.Protocol), e.family.word, to)
}

// share is the rule that gives each endpoint an equal share.
func (e *entry) share() string {
	if len(e.endpoints) == 1 {
		return e.lead(e.endpoints[0])
	}
	drawn := make([]string, len(e.endpoints))
	for i, to := range e.endpoints {
		drawn[i] = fmt.Sprintf("%d : %s . %d", i, to.Addr(), to.Port())
	}
	return fmt.Sprintf("meta l4proto %s dnat %s to numgen random mod %d map { %s }",
		protocol(e.port.Protocol), e.family.word, len(drawn), strings.Join(drawn, ", "))
}

// names leads those who ask for names to the server on the host.
func (s serviceRules) names(serverPort uint16) {
	for _, ip := range NameServers(s.inUse) {
		for _, proto := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
			s.entry(&entry{
				own: "names", service: &pod.Service{}, port: &pod.ServicePort{Protocol: proto, Port: 53}, family: familyOf(ip),
				clusterIPs: []netip.Addr{ip}, endpoints: []netip.AddrPort{netip.AddrPortFrom(ip, serverPort)},
			})
		}
	}
}

func familyIf(six bool) ipFamily {
	if six {
		return families()[1]
	}
	return families()[0]
}

func only(ips []netip.Addr, keep func(netip.Addr) bool) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(ips), func(ip netip.Addr) bool { return !keep(ip) })
}

// parse returns those of the texts that are addresses.
func parse(texts []string) []netip.Addr {
	var ips []netip.Addr
	for _, text := range texts {
		if ip, err := netip.ParseAddr(text); err == nil {
			ips = append(ips, ip.Unmap())
		}
	}
	return ips
}

func within(ranges []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// endpointsOf are the endpoints of one family that traffic may be sent to.
func endpointsOf(p *pod.ServicePort, six bool) []netip.AddrPort {
	var of []netip.AddrPort
	for _, e := range p.Endpoints {
		if ip, err := netip.ParseAddr(e.IP); err == nil && ip.Unmap().Is6() == six && mayServe(ip.Unmap()) {
			of = append(of, netip.AddrPortFrom(ip.Unmap(), uint16(e.Port)))
		}
	}
	return of
}

// mayServe keeps Services from leading to what pods must not reach, such as
// the host's loopback: to the rules that guard it, a pod's packet is still on
// its way to the Service.
func mayServe(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && ip != metadata6()
}

// metadata6 is the metadata service of clouds in IPv6; that in IPv4 is
// link-local.
func metadata6() netip.Addr { return netip.MustParseAddr("fd00:ec2::254") }

// checkServices names what can't be used of Services. Ranges that can't be had
// matter to those alone that have an address there.
func (n *Network) checkServices(c pod.NetworkConfig, inUse []netip.Prefix, unusable error) error {
	var errs []error
	concerned := false
	for i := range c.Services {
		s := &c.Services[i]
		for _, text := range s.ClusterIPs {
			ip, err := netip.ParseAddr(text)
			switch {
			case err != nil:
				errs = append(errs, fmt.Errorf("network of Service %s: cluster IP %q is no IP address: it is left out", s.Key, text))
			case within(inUse, ip):
			case within(n.ways.ranges, ip):
				concerned = true
			default:
				errs = append(errs, fmt.Errorf("network of Service %s: cluster IP %s is in none of the ranges of Services (%s): it is left out", s.Key, ip, join(n.ways.ranges)))
			}
		}
		for _, text := range s.HostIPs {
			if _, err := netip.ParseAddr(text); err != nil {
				errs = append(errs, fmt.Errorf("network of Service %s: host's address %q is no IP address: it is left out", s.Key, text))
			}
		}
		for _, p := range s.Ports {
			for _, e := range p.Endpoints {
				if ip, err := netip.ParseAddr(e.IP); err != nil {
					errs = append(errs, fmt.Errorf("network of Service %s: endpoint %q is no IP address: it is left out", s.Key, e.IP))
				} else if !mayServe(ip.Unmap()) {
					errs = append(errs, fmt.Errorf("network of Service %s: endpoint %s is on the host's loopback or link-local, multicast, unspecified or a metadata service: it is left out", s.Key, ip))
				}
			}
		}
	}
	if concerned && unusable != nil {
		errs = append(errs, fmt.Errorf("addresses of Services lead nowhere: %w", unusable))
	}
	return errors.Join(errs...)
}

func join(ranges []netip.Prefix) string {
	words := make([]string, len(ranges))
	for i, r := range ranges {
		words[i] = r.String()
	}
	return strings.Join(words, ", ")
}
