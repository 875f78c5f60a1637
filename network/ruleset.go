package network

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/knftables"

	"github.com/podstead/podstead/pod"
)

// ruleset is the content of our table: objects (chains, rules, sets) that
// follow from the configuration, and elements that follow from the pods.
type ruleset struct {
	objects  []knftables.Object
	elements map[string]*knftables.Element
	// order are the keys of elements, sorted.
	order []string
}

// Names of the table's sets and maps.
const (
	sources  = "sources"  // ranges and addresses that are masqueraded
	ports    = "ports"    // protocol and port of the host → a pod's
	ipPorts  = "ip-ports" // protocol, address and port of the host → a pod's
	hairpins = "hairpins" // a pod's address twice: it talks to itself
	loopback = "loopback" // protocol and port that are refused on ::1
)

// render returns the table for a configuration. It is a pure function of both.
func (n *Network) render(c pod.NetworkConfig) *ruleset {
	r := &ruleset{elements: map[string]*knftables.Element{}}
	r.declare()
	r.guard(n.cfg.AllowMetadata)
	r.translate(!n.cfg.NoMasquerade)
	for _, p := range n.cfg.PodCIDRs {
		r.source(p.Masked(), n.cfg.PodCIDRs)
	}
	for _, p := range c.Pods {
		r.pod(p, n.cfg)
	}
	r.order = slices.Sorted(maps.Keys(r.elements))
	return r
}

func (r *ruleset) declare() {
	for _, f := range []struct{ digit, address string }{{"4", "ipv4_addr"}, {"6", "ipv6_addr"}} {
		to := " : " + f.address + " . inet_service"
		r.objects = append(r.objects,
			&knftables.Set{Name: sources + f.digit, Type: f.address, Flags: []knftables.SetFlag{knftables.IntervalFlag}},
			&knftables.Set{Name: hairpins + f.digit, Type: f.address + " . " + f.address},
			&knftables.Map{Name: ports + f.digit, Type: "inet_proto . inet_service" + to},
			&knftables.Map{Name: ipPorts + f.digit, Type: "inet_proto . " + f.address + " . inet_service" + to},
		)
	}
	r.objects = append(r.objects, &knftables.Set{Name: loopback, Type: "inet_proto . inet_service"})
}

func (r *ruleset) base(name string, kind knftables.BaseChainType, hook knftables.BaseChainHook, priority knftables.BaseChainPriority) {
	r.objects = append(r.objects, &knftables.Chain{Name: name, Type: &kind, Hook: &hook, Priority: &priority})
}

func (r *ruleset) add(chain string, rules ...string) {
	for _, rule := range rules {
		r.objects = append(r.objects, &knftables.Rule{Chain: chain, Rule: rule})
	}
}

// guard: what comes from a pod is looked at before anything else is. The
// host's loopback is out of reach, though route_localnet would let it in; the
// source must be an address that the host routes to that very link.
func (r *ruleset) guard(metadata bool) {
	const chain = "from-pods"
	r.base(chain, knftables.FilterType, knftables.PreroutingHook, knftables.RawPriority)
	r.add(chain, fmt.Sprintf("iifgroup != %d return", linkGroup), "ip daddr 127.0.0.0/8 drop", "ip6 daddr ::1 drop")
	if !metadata {
		r.add(chain, "ip daddr 169.254.169.254 drop", "ip6 daddr fd00:ec2::254 drop")
	}
	// What neighbors say to one another needs them; the host has a route to
	// all of them through that very link. 58 is ICMPv6: of its name nft knows
	// only where there is an /etc/protocols, which Debian 12 lacks without the
	// package netbase.
	r.add(chain, "ip6 saddr { ::, fe80::/10 } meta l4proto 58 return", "ip6 saddr { ::, fe80::/10 } drop", "fib saddr . iif oif missing drop")

	const local = "to-loopback"
	r.base(local, knftables.FilterType, knftables.InputHook, knftables.FilterPriority)
	r.add(local,
		"ip6 daddr ::1 meta l4proto tcp meta l4proto . th dport @"+loopback+" reject with tcp reset",
		"ip6 daddr ::1 meta l4proto . th dport @"+loopback+" reject")
}

// translate: ports of the host lead to pods, from anywhere; what only the
// host itself may reach (127.0.0.0/8, ::1) is never led in from a link.
func (r *ruleset) translate(masquerade bool) {
	const chain = "host-ports"
	r.objects = append(r.objects, &knftables.Chain{Name: chain})
	r.add(chain,
		"dnat ip to meta l4proto . ip daddr . th dport map @"+ipPorts+"4",
		"dnat ip6 to meta l4proto . ip6 daddr . th dport map @"+ipPorts+"6",
		"fib daddr type local dnat ip to meta l4proto . th dport map @"+ports+"4",
		"fib daddr type local dnat ip6 to meta l4proto . th dport map @"+ports+"6")
	r.base("prerouting", knftables.NATType, knftables.PreroutingHook, knftables.DNATPriority)
	r.add("prerouting", "ip daddr 127.0.0.0/8 return", "ip6 daddr ::1 return", "jump "+chain)
	r.base("output", knftables.NATType, knftables.OutputHook, "-100")
	r.add("output", "ip6 daddr ::1 return", "jump "+chain)
	r.base("postrouting", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority)
	r.add("postrouting",
		fmt.Sprintf("oifgroup %d ip saddr 127.0.0.0/8 snat ip to %s", linkGroup, gateway4()),
		fmt.Sprintf("ip saddr . ip daddr @%s4 snat ip to %s", hairpins, gateway4()),
		fmt.Sprintf("ip6 saddr . ip6 daddr @%s6 snat ip6 to %s", hairpins, gateway6()))
	if masquerade {
		r.add("postrouting",
			fmt.Sprintf("oifgroup != %d ip saddr @%s4 masquerade", linkGroup, sources),
			fmt.Sprintf("oifgroup != %d ip6 saddr @%s6 masquerade", linkGroup, sources))
	}
}

// source adds what is masqueraded, unless a range covers it.
func (r *ruleset) source(p netip.Prefix, ranges []netip.Prefix) {
	for _, other := range ranges {
		if other.Masked() != p && other.Contains(p.Addr()) {
			return
		}
	}
	key := p.String()
	if p.IsSingleIP() {
		key = p.Addr().String()
	}
	r.element(&knftables.Element{Set: sources + digit(p.Addr()), Key: []string{key}})
}

func (r *ruleset) pod(p pod.PodNetwork, cfg Config) {
	for _, text := range p.IPs {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			continue // Set has said so.
		}
		r.source(netip.PrefixFrom(ip, ip.BitLen()), cfg.PodCIDRs)
		if len(p.Ports) > 0 {
			r.element(&knftables.Element{Set: hairpins + digit(ip), Key: []string{text, text}})
		}
		for _, m := range p.Ports {
			r.port(m, ip)
		}
	}
	for _, m := range p.Ports {
		if forwarded := cfg.LoopbackForwarder && m.Protocol == "TCP"; onLoopback6(m) && !forwarded {
			r.element(&knftables.Element{Set: loopback, Key: []string{protocol(m), port(m.HostPort)}})
		}
	}
}

// port leads a port of the host to one address of a pod. The first pod that
// has a port keeps it.
func (r *ruleset) port(m pod.PortMapping, to netip.Addr) {
	value := []string{to.String(), port(m.ContainerPort)}
	if m.HostIP == "" {
		r.element(&knftables.Element{Map: ports + digit(to), Key: []string{protocol(m), port(m.HostPort)}, Value: value})
		return
	}
	ip, err := netip.ParseAddr(m.HostIP)
	if err != nil || ip.Is4() != to.Is4() {
		return
	}
	if ip.IsUnspecified() {
		r.element(&knftables.Element{Map: ports + digit(to), Key: []string{protocol(m), port(m.HostPort)}, Value: value})
		return
	}
	r.element(&knftables.Element{Map: ipPorts + digit(to), Key: []string{protocol(m), ip.String(), port(m.HostPort)}, Value: value})
}

func (r *ruleset) element(e *knftables.Element) {
	key := e.Set + e.Map + " " + strings.Join(e.Key, " . ")
	if _, taken := r.elements[key]; !taken {
		r.elements[key] = e
	}
}

func (r *ruleset) has(key string, e *knftables.Element) bool {
	own, ok := r.elements[key]
	return ok && slices.Equal(own.Value, e.Value)
}

// equal compares the elements: the rules follow from the configuration of the
// Network, which never changes.
func (r *ruleset) equal(other *ruleset) bool {
	if len(r.elements) != len(other.elements) {
		return false
	}
	for key, e := range r.elements {
		if !other.has(key, e) {
			return false
		}
	}
	return true
}

// onLoopback6 tells whether a mapping would be expected to answer on ::1.
func onLoopback6(m pod.PortMapping) bool {
	if m.HostIP == "" {
		return true
	}
	ip, err := netip.ParseAddr(m.HostIP)
	return err == nil && (ip == netip.IPv6Unspecified() || ip == netip.IPv6Loopback())
}

func digit(a netip.Addr) string {
	if a.Is4() {
		return "4"
	}
	return "6"
}

func protocol(m pod.PortMapping) string { return strings.ToLower(string(m.Protocol)) }

func port(p int32) string { return strconv.Itoa(int(p)) }
