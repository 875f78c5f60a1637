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
		"ip6 daddr ::1 meta l4proto . th dport @"+loopback+"6 goto "+refusal,
		"ip6 daddr ::1 accept")
	r.refuseHere(toHost, "", refusal)
	r.acceptNames(toHost, fmt.Sprintf("iifgroup %d ", linkGroup), inUse, namesPort)
	r.acceptNames(toHost, `iifname "lo" `, inUse, namesPort)
	r.refuseIn(toHost, inUse, refusal)

	r.base(throughHost, "filter", "forward", earlier)
	r.add(throughHost, "ct state established,related accept")
	r.refuseIn(throughHost, inUse, refusal)
	r.add(throughHost, "jump "+policyChain)

	// What the host asks of itself would be remembered as a connection that
	// leads nowhere by the time that it comes to to-host, and its port be refused
	// again for two minutes, whatever serves there by then. Of UDP that is
	// forgotten, see forgetMoved, and only to-host tells the sender well.
	r.base(fromHost, "filter", "output", earlier)
	r.add(fromHost, "ct state established,related accept", "ip6 daddr ::1 accept")
	r.refuseHere(fromHost, "meta l4proto tcp fib daddr type local ", refusal)
	r.acceptNames(fromHost, "", inUse, namesPort)
	r.refuseIn(fromHost, inUse, refusal)
}

// refuseHere refuses what goes to ports of the host that lead nowhere now.
func (r *ruleset) refuseHere(chain, when, refusal string) {
	r.add(chain, when+"ip daddr 127.0.0.0/8 meta l4proto . th dport @"+loopback+"4 goto "+refusal)
	for _, f := range families() {
		r.add(chain,
			fmt.Sprintf("%smeta l4proto . %s daddr . th dport @%s goto %s", when, f.word, refused+f.digit, refusal),
			fmt.Sprintf("%smeta nfproto %s meta l4proto . th dport @%s goto %s", when, f.protocol, refusedPorts+f.digit, refusal))
	}
}

// acceptNames lets in who asks the server of names, if there is one.
func (r *ruleset) acceptNames(chain, when string, inUse []netip.Prefix, port uint16) {
	if port == 0 {
		return
	}
	for _, ip := range NameServers(inUse) {
		r.add(chain, fmt.Sprintf("%s%s daddr %s meta l4proto { tcp, udp } th dport %d accept", when, word(ip), ip, port))
	}
}

// refuseIn refuses what still goes to a range of Services' addresses.
func (r *ruleset) refuseIn(chain string, inUse []netip.Prefix, refusal string) {
	for _, p := range inUse {
		r.add(chain, fmt.Sprintf("%s daddr %s goto %s", word(p.Addr()), p, refusal))
	}
}
