package network

import (
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// ipFamily is one of the two families as nftables writes them.
type ipFamily struct{ digit, word, address, protocol string }

func families() [2]ipFamily {
	return [2]ipFamily{{"4", "ip", "ipv4_addr", "ipv4"}, {"6", "ip6", "ipv6_addr", "ipv6"}}
}

func familyOf(a netip.Addr) ipFamily {
	if a.Is4() {
		return families()[0]
	}
	return families()[1]
}

func digit(a netip.Addr) string { return familyOf(a).digit }

func word(a netip.Addr) string { return familyOf(a).word }

func protocol(p corev1.Protocol) string { return strings.ToLower(string(p)) }

func port(p int32) string { return strconv.Itoa(int(p)) }
