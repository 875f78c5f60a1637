package network

import (
	"fmt"
	"net/netip"
)

// policyChain is empty. It is the place for rules about what pods may reach
// and be reached from: it sees each connection that is forwarded, with
// addresses of pods where those of Services were. What the host itself begins,
// such as probes, is not forwarded and never comes there.
const policyChain = "network-policy"

// earlier is the priority of what refuses: others' filters, which may drop
// without a word, come after it.
const earlier = "-10"

// refuse answers at once what nobody else would: ports of Services without
// endpoints, unknown ports of Services' addresses, ports of the host on its loopback that
// can't be led anywhere.
func (r *ruleset) refuse(inUse []netip.Prefix, namesPort uint16) {
	const toHost, throughHost, fromHost, refusal = "to-host", "through-host", "from-host", "refuse"
	r.add(refusal, "meta l4proto tcp reject with tcp reset", "reject")
	r.add(policyChain)

	r.base(toHost, "filter", "input", earlier)
	r.add(toHost, "ct state established,related accept",
		"ip daddr 127.0.0.0/8 meta l4proto . th dport @"+loopback+"4 goto "+refusal,
		"ip6 daddr ::1 meta l4proto . th dport @"+loopback+"6 goto "+refusal,
		"ip6 daddr ::1 accept")
	for _, f := range families() {
		r.add(toHost,
			fmt.Sprintf("meta l4proto . %s daddr . th dport @%s goto %s", f.word, refused+f.digit, refusal),
			fmt.Sprintf("meta nfproto %s meta l4proto . th dport @%s goto %s", f.protocol, refusedPorts+f.digit, refusal))
	}
	if namesPort != 0 {
		for _, ip := range NameServers(inUse) {
			for _, from := range []string{fmt.Sprintf("iifgroup %d", linkGroup), `iifname "lo"`} {
				r.add(toHost, fmt.Sprintf("%s %s daddr %s meta l4proto { tcp, udp } th dport %d accept", from, word(ip), ip, namesPort))
			}
		}
	}
	r.refuseIn(toHost, inUse, "", refusal)

	r.base(throughHost, "filter", "forward", earlier)
	r.add(throughHost, "ct state established,related accept")
	r.refuseIn(throughHost, inUse, "", refusal)
	r.add(throughHost, "jump "+policyChain)

	// What goes to an address of the host itself comes to to-host.
	r.base(fromHost, "filter", "output", earlier)
	r.add(fromHost, "ct state established,related accept")
	r.refuseIn(fromHost, inUse, "fib daddr type != local ", refusal)
}

// refuseIn refuses what still goes to a range of Services' addresses.
func (r *ruleset) refuseIn(chain string, inUse []netip.Prefix, when, refusal string) {
	for _, p := range inUse {
		r.add(chain, fmt.Sprintf("%s%s daddr %s goto %s", when, word(p.Addr()), p, refusal))
	}
}
