package service

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// addresses gives Services their cluster IPs: first what they had, then what
// they ask for by name, and what is left to those that take any.
func (r *resolver) addresses() {
	r.held = make(map[netip.Addr]*service, 2*len(r.services))
	for _, s := range r.services {
		r.keepAddresses(s)
	}
	for _, s := range r.earlierFirst() {
		r.takeNamed(s)
	}
	for _, s := range r.earlierFirst() {
		if !s.hasTraffic() {
			continue
		}
		r.tellFamilies(s)
		for _, six := range r.families(s) {
			if _, has := s.address(six); !has && !s.names(six) {
				r.takeAny(s, six)
			}
		}
	}
	for _, s := range r.services {
		s.given.ClusterIPs = r.inOrder(s, s.given.ClusterIPs)
	}
}

// keepAddresses gives a Service what it had, as far as that is what it wants.
func (r *resolver) keepAddresses(s *service) {
	if !s.hasTraffic() {
		return
	}
	families := r.families(s)
	for _, ip := range parse(s.had.ClusterIPs) {
		_, has := s.address(ip.Is6())
		_, inRange := r.rangeOf(ip)
		wanted := slices.Contains(families, ip.Is6()) && (!s.names(ip.Is6()) || slices.Contains(parse(s.spec.ClusterIPs), ip))
		if r.held[ip] == nil && !has && inRange && wanted && !slices.Contains(r.in.Reserved, ip) {
			r.give(s, ip)
		}
	}
}

// takeNamed gives a Service the addresses that it names.
func (r *resolver) takeNamed(s *service) {
	if !s.hasTraffic() {
		return
	}
	for i, text := range s.spec.ClusterIPs {
		ip, err := netip.ParseAddr(text)
		if err != nil || slices.Contains(s.given.ClusterIPs, ip.String()) {
			continue
		}
		field := "spec.clusterIP"
		if len(s.spec.ClusterIPs) > 1 {
			field = fmt.Sprintf("spec.clusterIPs[%d]", i)
		}
		r.takeOne(s, ip, field)
	}
}

func (r *resolver) takeOne(s *service, ip netip.Addr, field string) {
	without := fmt.Sprintf("the Service has no %s address; all else of it works", familyName(ip.Is6()))
	own, inRange := r.rangeOf(ip)
	switch holder := r.held[ip]; {
	case !inRange:
		r.problem(s, pod.ReasonInvalid, field, "is in no range of Services' addresses", ip.String(), "an address in "+r.rangeNames(), without)
	case slices.Contains(r.in.Reserved, ip):
		r.problem(s, pod.ReasonConflict, field, "is the address at which pods ask for names", ip.String(), "another address in "+own.String(), without)
	case holder != nil:
		r.problem(s, pod.ReasonConflict, field, "is taken by Service "+holder.key.String(), ip.String(), "another address in "+own.String(), without)
	default:
		r.give(s, ip)
	}
}

// tellFamilies says which families a Service asks for in vain.
func (r *resolver) tellFamilies(s *service) {
	policy := s.policy()
	if policy == corev1.IPFamilyPolicyPreferDualStack {
		return
	}
	asked := slices.Clone(s.spec.IPFamilies)
	if policy == corev1.IPFamilyPolicyRequireDualStack {
		asked = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	}
	for _, f := range asked {
		if !slices.Contains(r.families(s), f == corev1.IPv6Protocol) {
			r.problem(s, pod.ReasonInvalid, "spec.ipFamilies", fmt.Sprintf("asks for %s, of which Services have no range here", f), "",
				"families of "+r.rangeNames(), fmt.Sprintf("the Service has no %s address; all else of it works", f))
		}
	}
}

func (r *resolver) takeAny(s *service, six bool) {
	at := slices.IndexFunc(r.in.Ranges, func(p netip.Prefix) bool { return p.Addr().Is6() == six })
	for ip := range candidates(r.in.Ranges[at], s.key) {
		if r.held[ip] == nil && !slices.Contains(r.in.Reserved, ip) {
			r.give(s, ip)
			return
		}
	}
	r.problem(s, pod.ReasonLimit, "spec.clusterIP", "no address is left in "+r.in.Ranges[at].String(), "", "a wider range in network.serviceCIDRs",
		fmt.Sprintf("the Service has no %s address; all else of it works", familyName(six)))
}

func (r *resolver) give(s *service, ip netip.Addr) {
	r.held[ip] = s
	s.given.ClusterIPs = append(s.given.ClusterIPs, ip.String())
}

// families are the families of a Service, the first one first, as far as there
// are ranges for them.
func (r *resolver) families(s *service) []bool {
	var wanted []bool
	for _, f := range s.spec.IPFamilies {
		wanted = append(wanted, f == corev1.IPv6Protocol)
	}
	if len(wanted) == 0 {
		for _, ip := range parse(s.spec.ClusterIPs) {
			wanted = append(wanted, ip.Is6())
		}
	}
	dual := s.policy() != corev1.IPFamilyPolicySingleStack
	for _, p := range r.in.Ranges {
		if six := p.Addr().Is6(); (dual || len(wanted) == 0) && !slices.Contains(wanted, six) {
			wanted = append(wanted, six)
		}
	}
	return slices.DeleteFunc(wanted, func(six bool) bool {
		return !slices.ContainsFunc(r.in.Ranges, func(p netip.Prefix) bool { return p.Addr().Is6() == six })
	})
}

// policy is SingleStack where nothing else is said and no two families are
// named.
func (s *service) policy() corev1.IPFamilyPolicy {
	switch {
	case s.spec.IPFamilyPolicy != nil:
		return *s.spec.IPFamilyPolicy
	case len(s.spec.IPFamilies) > 1 || len(s.spec.ClusterIPs) > 1:
		return corev1.IPFamilyPolicyRequireDualStack
	}
	return corev1.IPFamilyPolicySingleStack
}

// address is the cluster IP of a family that the Service has been given.
func (s *service) address(six bool) (netip.Addr, bool) {
	for _, ip := range parse(s.given.ClusterIPs) {
		if ip.Is6() == six {
			return ip, true
		}
	}
	return netip.Addr{}, false
}

// names tells whether the Service asks for a certain address of a family.
func (s *service) names(six bool) bool {
	return slices.ContainsFunc(parse(s.spec.ClusterIPs), func(ip netip.Addr) bool { return ip.Is6() == six })
}

// inOrder puts addresses in the order of the Service's families.
func (r *resolver) inOrder(s *service, addresses []string) []string {
	var out []string
	for _, six := range r.families(s) {
		for _, ip := range parse(addresses) {
			if ip.Is6() == six {
				out = append(out, ip.String())
			}
		}
	}
	return out
}

func (r *resolver) rangeOf(ip netip.Addr) (netip.Prefix, bool) {
	for _, p := range r.in.Ranges {
		if p.Contains(ip) && ip != p.Addr() && (ip.Is6() || p.Contains(ip.Next())) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

func (r *resolver) rangeNames() string {
	names := make([]string, len(r.in.Ranges))
	for i, p := range r.in.Ranges {
		names[i] = p.String()
	}
	return strings.Join(names, " or ")
}

// candidates are all addresses of a range in the order in which a Service
// tries them. The first ones of the range come last, as in Kubernetes: people
// pick addresses there.
func candidates(p netip.Prefix, key pod.Key) iter.Seq[netip.Addr] {
	bits := p.Addr().BitLen() - p.Bits()
	size := uint64(math.MaxUint32)
	if bits < 32 {
		size = 1 << bits
	}
	last := size
	if p.Addr().Is4() {
		last-- // that of the broadcast
	}
	picked := min(max(16, size/16), 256, last)
	start := hash(key.String())
	return func(yield func(netip.Addr) bool) {
		for i := range last - picked {
			if !yield(plus(p.Addr(), picked+(start+i)%(last-picked))) {
				return
			}
		}
		for i := uint64(1); i < picked; i++ {
			if !yield(plus(p.Addr(), i)) {
				return
			}
		}
	}
}

// hash draws a number that is always the same for a text, below 2^63.
func hash(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:]) >> 1
}

// plus is the address n after another; n is small enough for the last eight
// bytes not to overflow.
func plus(a netip.Addr, n uint64) netip.Addr {
	b := a.As16()
	binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])+n)
	if a.Is4() {
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrFrom16(b)
}

func parse(texts []string) []netip.Addr {
	var ips []netip.Addr
	for _, text := range texts {
		if ip, err := netip.ParseAddr(text); err == nil {
			ips = append(ips, ip)
		}
	}
	return ips
}

func familyName(six bool) string {
	if six {
		return string(corev1.IPv6Protocol)
	}
	return string(corev1.IPv4Protocol)
}
