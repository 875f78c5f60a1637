package validation

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// clusterIPs checks the addresses that a Service asks for: none, "None", or
// one of each family. Whether the server has them to give is not known here.
func (c *checker) clusterIPs(s *corev1.ServiceSpec, at *field.Path) {
	here := at.Child("clusterIPs")
	if len(s.ClusterIPs) > 0 && s.ClusterIP != s.ClusterIPs[0] {
		c.refuse(here.Index(0), pod.ReasonInvalid, finding{"is not clusterIP", quote(s.ClusterIPs[0]), quote(s.ClusterIP)})
		return
	}
	if s.ClusterIP == corev1.ClusterIPNone {
		c.headless(s, at)
		return
	}
	c.atMost(here, len(s.ClusterIPs), 2)
	seen := map[string]*field.Path{}
	for i, ip := range s.ClusterIPs {
		place := here.Index(i)
		if len(s.ClusterIPs) == 1 {
			place = at.Child("clusterIP") // which is what people write
		}
		if ip == corev1.ClusterIPNone {
			c.refuse(place, pod.ReasonInvalid, finding{"stands beside an address", quote(ip), "None alone, or addresses"})
			continue
		}
		family, ok := c.usableAddress(ip, place, "an IP address, or None")
		if first := seen[family]; ok && first != nil {
			c.refuse(place, pod.ReasonInvalid, finding{"is of the same family as " + first.String(), quote(ip), "at most one address of each family"})
		}
		seen[family] = place
	}
}

func (c *checker) headless(s *corev1.ServiceSpec, at *field.Path) {
	if len(s.ClusterIPs) > 1 {
		c.refuse(at.Child("clusterIPs"), pod.ReasonInvalid, finding{message: "has an address beside None", want: "None alone, or addresses"})
	}
	if isExternal(s.Type) {
		c.refuse(at.Child("clusterIP"), pod.ReasonInvalid, finding{
			"is not for the type " + string(s.Type) + ", whose traffic goes through an address", quote(s.ClusterIP), "an address, or the field left out"})
	}
}

// usableAddress refuses what is no address that traffic can be sent to, and
// returns the family.
func (c *checker) usableAddress(text string, at *field.Path, want string) (family string, ok bool) {
	ip, err := netip.ParseAddr(text)
	before := len(c.errs)
	switch {
	case err != nil || ip.Zone() != "" || ip.Is4In6():
		c.refuse(at, pod.ReasonInvalid, finding{"is no IP address", quote(text), want})
	case ip.IsUnspecified(), ip.IsLoopback(), ip.IsLinkLocalUnicast(), ip.IsMulticast():
		c.refuse(at, pod.ReasonInvalid, finding{
			"can't be had: it is an unspecified, loopback, link-local or multicast address", quote(text), "an ordinary address"})
	}
	if ip.Is4() {
		return string(corev1.IPv4Protocol), len(c.errs) == before
	}
	return string(corev1.IPv6Protocol), len(c.errs) == before
}

// families checks which families a Service is of, and that its addresses are
// of those.
func (c *checker) families(s *corev1.ServiceSpec, at *field.Path) {
	here := at.Child("ipFamilies")
	c.atMost(here, len(s.IPFamilies), 2)
	for i, f := range s.IPFamilies {
		oneOf(c, here.Index(i), f, corev1.IPv4Protocol, corev1.IPv6Protocol)
		if slices.Contains(s.IPFamilies[:i], f) {
			c.refuse(here.Index(i), pod.ReasonDuplicate, finding{"is listed twice", quote(string(f)), "each family once"})
		}
	}
	for i, ip := range s.ClusterIPs {
		parsed, err := netip.ParseAddr(ip)
		if err == nil && i < len(s.IPFamilies) && parsed.Is4() != (s.IPFamilies[i] == corev1.IPv4Protocol) {
			c.refuse(here.Index(i), pod.ReasonInvalid, finding{
				"is not the family of the address in the same place", quote(string(s.IPFamilies[i])), "the family of " + ip})
		}
	}
	if s.IPFamilyPolicy == nil {
		return
	}
	policy := at.Child("ipFamilyPolicy")
	oneOf(c, policy, *s.IPFamilyPolicy, corev1.IPFamilyPolicySingleStack,
		corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack)
	if *s.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack && (len(s.IPFamilies) > 1 || len(s.ClusterIPs) > 1) {
		c.refuse(policy, pod.ReasonInvalid, finding{
			"contradicts the two families that are named", quote(string(*s.IPFamilyPolicy)), "PreferDualStack or RequireDualStack"})
	}
}
