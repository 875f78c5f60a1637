package network

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"sigs.k8s.io/knftables"

	"github.com/podstead/podstead/pod"
)

// ruleset is the content of our table: sets, chains with their rules, and
// elements. Elements follow from pods and Services, and so do the chains of
// Services; all else follows from the configuration of the Network.
type ruleset struct {
	// sets are *knftables.Set and *knftables.Map; the name says which type.
	sets     map[string]knftables.Object
	chains   map[string]*chainRules
	elements map[string]*knftables.Element
	// order are the keys of elements, sorted.
	order []string
}

// chainRules is a chain with its rules.
type chainRules struct {
	chain *knftables.Chain
	rules []string
}

// Names of the table's sets and maps; those of one family end in 4 or 6.
const (
	sources  = "sources"  // ranges and addresses that are masqueraded
	ports    = "ports"    // protocol and port of the host → a pod's
	ipPorts  = "ip-ports" // protocol, address and port of the host → a pod's
	hairpins = "hairpins" // a pod's address twice: it talks to itself
	loopback = "loopback" // protocol and port that are refused on 127.0.0.1 or ::1
)

// render returns the table for a configuration, the ranges of Services'
// addresses that are in use, and the host's addresses. It is a pure function
// of these.
func (n *Network) render(c pod.NetworkConfig, inUse []netip.Prefix, hostIPs []string) *ruleset {
	r := &ruleset{sets: map[string]knftables.Object{}, chains: map[string]*chainRules{}, elements: map[string]*knftables.Element{}}
	r.declare()
	r.guard(n.cfg.AllowMetadata)
	r.translate(inUse)
	r.rewriteSources(!n.cfg.NoMasquerade)
	r.refuse(inUse, n.cfg.NamesPort)
	for _, p := range n.cfg.PodCIDRs {
		r.source(p.Masked(), n.cfg.PodCIDRs)
	}
	for _, p := range c.Pods {
		r.pod(p, n.cfg)
	}
	s := serviceRules{ruleset: r, inUse: inUse, inside: insideOf(c, n.cfg.PodCIDRs, hostIPs), forwarder: n.cfg.LoopbackForwarder}
	if n.cfg.NamesPort != 0 {
		s.names(n.cfg.NamesPort)
	}
	for i := range c.Services {
		s.service(&c.Services[i])
	}
	r.order = slices.Sorted(maps.Keys(r.elements))
	return r
}

func (r *ruleset) set(name, kind string, flags ...knftables.SetFlag) {
	r.sets[name] = &knftables.Set{Name: name, Type: kind, Flags: flags}
}

func (r *ruleset) mapping(name, kind string) {
	r.sets[name] = &knftables.Map{Name: name, Type: kind}
}

func (r *ruleset) declare() {
	for _, f := range families() {
		to := " : " + f.address + " . inet_service"
		r.set(sources+f.digit, f.address, knftables.IntervalFlag)
		r.set(hairpins+f.digit, f.address+" . "+f.address)
		r.set(loopback+f.digit, "inet_proto . inet_service")
		r.mapping(ports+f.digit, "inet_proto . inet_service"+to)
		r.mapping(ipPorts+f.digit, "inet_proto . "+f.address+" . inet_service"+to)
	}
	r.declareServices()
}

func (r *ruleset) base(name string, kind knftables.BaseChainType, hook knftables.BaseChainHook, priority knftables.BaseChainPriority) {
	r.chains[name] = &chainRules{chain: &knftables.Chain{Name: name, Type: &kind, Hook: &hook, Priority: &priority}}
}

// add appends rules to a chain, which it makes if there is none.
func (r *ruleset) add(chain string, rules ...string) {
	c := r.chains[chain]
	if c == nil {
		c = &chainRules{chain: &knftables.Chain{Name: chain}}
		r.chains[chain] = c
	}
	c.rules = append(c.rules, rules...)
}

// guard: what comes from a pod is looked at before anything else is. The
// host's loopback is out of reach, though route_localnet would let it in; the
// source must be an address that the host routes to that very link.
func (r *ruleset) guard(metadata bool) {
	const chain = "from-pods"
	r.base(chain, knftables.FilterType, knftables.PreroutingHook, knftables.RawPriority)
	r.add(chain, fmt.Sprintf("iifgroup != %d return", linkGroup), "ip daddr 127.0.0.0/8 drop", "ip6 daddr ::1 drop")
	if !metadata {
		r.add(chain, "ip daddr 169.254.169.254 drop", fmt.Sprintf("ip6 daddr %s drop", metadata6()))
	}
	// What neighbors say to one another needs them; the host has a route to
	// all of them through that very link. ICMPv6 is 58, which nft takes on hosts
	// without /etc/protocols as well.
	r.add(chain, "ip6 saddr { ::, fe80::/10 } meta l4proto 58 return", "ip6 saddr { ::, fe80::/10 } drop", "fib saddr . iif oif missing drop")
}

// translate: addresses of Services and ports of the host lead to pods, from
// anywhere; what only the host itself may reach (127.0.0.0/8, ::1) is never
// led in from a link. An address of a Service is open at its ports alone.
func (r *ruleset) translate(inUse []netip.Prefix) {
	r.base("prerouting", knftables.NATType, knftables.PreroutingHook, knftables.DNATPriority)
	r.base("output", knftables.NATType, knftables.OutputHook, "-100")
	r.add("prerouting", "ip daddr 127.0.0.0/8 return", "ip6 daddr ::1 return")
	r.add("output", "ip daddr 127.0.0.0/8 meta l4proto . th dport @"+loopback+"4 return", "ip6 daddr ::1 return")
	for _, chain := range []string{"prerouting", "output"} {
		for _, p := range inUse {
			r.add(chain, fmt.Sprintf("%s daddr %s goto cluster-ips", word(p.Addr()), p))
		}
		r.add(chain, "fib daddr type local jump host-ips", "jump host-ports", "fib daddr type local goto node-ports")
	}
	r.add("host-ports",
		"dnat ip to meta l4proto . ip daddr . th dport map @"+ipPorts+"4",
		"dnat ip6 to meta l4proto . ip6 daddr . th dport map @"+ipPorts+"6",
		"fib daddr type local dnat ip to meta l4proto . th dport map @"+ports+"4",
		"fib daddr type local dnat ip6 to meta l4proto . th dport map @"+ports+"6")
	r.find()
}

// rewriteSources gives connections an address that answers come back to: what
// a pod would not answer (its own address, the host's 127.0.0.1), and what
// would be answered past the host.
func (r *ruleset) rewriteSources(masquerade bool) {
	const chain = "postrouting"
	r.base(chain, knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority)
	r.add(chain,
		fmt.Sprintf("oifgroup %d ip saddr 127.0.0.0/8 snat ip to %s", linkGroup, gateway4()),
		fmt.Sprintf("ip saddr . ip daddr @%s4 snat ip to %s", hairpins, gateway4()),
		fmt.Sprintf("ip6 saddr . ip6 daddr @%s6 snat ip6 to %s", hairpins, gateway6()))
	for _, f := range families() {
		// Pods whose addresses are to leave the host are answered through it.
		r.add(chain, fmt.Sprintf(`ct status dnat oifgroup != %d oifname != "lo" %s saddr != @%s meta l4proto . %[2]s daddr . th dport @%[4]s masquerade`,
			linkGroup, f.word, sources+f.digit, outside+f.digit))
		if masquerade {
			r.add(chain, fmt.Sprintf("oifgroup != %d %s saddr @%s masquerade", linkGroup, f.word, sources+f.digit))
		}
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
		r.element(&knftables.Element{Set: hairpins + digit(ip), Key: []string{text, text}})
		for _, m := range p.Ports {
			r.port(m, ip)
		}
	}
	for _, m := range p.Ports {
		if forwarded := cfg.LoopbackForwarder && m.Protocol == "TCP"; onLoopback6(m) && !forwarded {
			r.element(&knftables.Element{Set: loopback + "6", Key: []string{protocol(m.Protocol), port(m.HostPort)}})
		}
	}
}

// port leads a port of the host to one address of a pod. The first pod that
// has a port keeps it.
func (r *ruleset) port(m pod.PortMapping, to netip.Addr) {
	value := []string{to.String(), port(m.ContainerPort)}
	if m.HostIP == "" {
		r.element(&knftables.Element{Map: ports + digit(to), Key: []string{protocol(m.Protocol), port(m.HostPort)}, Value: value})
		return
	}
	ip, err := netip.ParseAddr(m.HostIP)
	if err != nil || ip.Is4() != to.Is4() {
		return
	}
	if ip.IsUnspecified() {
		r.element(&knftables.Element{Map: ports + digit(to), Key: []string{protocol(m.Protocol), port(m.HostPort)}, Value: value})
		return
	}
	r.element(&knftables.Element{Map: ipPorts + digit(to), Key: []string{protocol(m.Protocol), ip.String(), port(m.HostPort)}, Value: value})
}

// element adds an element unless there is one of the same key.
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

// equal compares two tables; of sets the names say all.
func (r *ruleset) equal(other *ruleset) bool {
	if len(r.elements) != len(other.elements) || len(r.sets) != len(other.sets) || len(r.chains) != len(other.chains) {
		return false
	}
	for key, e := range r.elements {
		if !other.has(key, e) {
			return false
		}
	}
	for name := range r.sets {
		if other.sets[name] == nil {
			return false
		}
	}
	for name, c := range r.chains {
		if !other.hasChain(name, c) {
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
