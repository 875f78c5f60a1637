package network

import (
	"cmp"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// loopbackUp sets lo up in the namespace of the calling thread.
func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find link lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set link lo up: %w", err)
	}
	return nil
}

// loopbackIndex is the index that the kernel gives lo in every namespace.
const loopbackIndex = 1

// HostIPs returns at most one address of the host per family, IPv4 first:
// that of the link with the best default route, or else of the first link
// that has any. Loopback and link-local addresses don't count. A host
// without addresses is no error. Nothing is asked of DNS.
func HostIPs() ([]string, error) {
	var ips []string
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		addrs, err := retry(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, family) })
		if err != nil {
			return nil, fmt.Errorf("list addresses of the host: %w", err)
		}
		best, err := defaultLink(family)
		if err != nil {
			return nil, err
		}
		if ip := pick(addrs, best); ip != nil {
			ips = append(ips, ip.String())
		}
	}
	return ips, nil
}

// defaultLink returns the index of the link that the best default route
// leads to, 0 if there is none.
func defaultLink(family int) (int, error) {
	routes, err := retry(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(family, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	})
	if err != nil {
		return 0, fmt.Errorf("list routes of the host: %w", err)
	}
	if len(routes) == 0 {
		return 0, nil
	}
	best := slices.MinFunc(routes, func(a, b netlink.Route) int { return cmp.Compare(a.Priority, b.Priority) })
	if best.LinkIndex == 0 && len(best.MultiPath) > 0 {
		return best.MultiPath[0].LinkIndex, nil
	}
	return best.LinkIndex, nil
}

// pick returns the first usable address of the preferred link, or of the
// link with the lowest index; nil if there is none.
func pick(addrs []netlink.Addr, preferred int) net.IP {
	usable := slices.DeleteFunc(slices.Clone(addrs), func(a netlink.Addr) bool { return !a.IP.IsGlobalUnicast() || onlyLocal(a) })
	if len(usable) == 0 {
		return nil
	}
	rank := func(a netlink.Addr) int {
		if a.LinkIndex == preferred {
			return -1
		}
		return a.LinkIndex
	}
	slices.SortStableFunc(usable, func(a, b netlink.Addr) int { return cmp.Compare(rank(a), rank(b)) })
	return usable[0].IP
}

// onlyLocal tells of addresses on lo that are not for the outside, such as
// those at which pods ask for names.
func onlyLocal(a netlink.Addr) bool {
	return a.LinkIndex == loopbackIndex && (a.Scope == unix.RT_SCOPE_HOST || a.Flags&unix.IFA_F_DEPRECATED != 0)
}
