package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// hostRoute is a route of the host, reduced to what matters here.
type hostRoute struct {
	dst  netip.Prefix
	link int
	// local is the host's own address.
	local bool
}

// hostRoutes lists the unicast and local routes of all tables. What the host
// refuses to route to is in nobody's use.
func hostRoutes() ([]hostRoute, error) {
	var all []hostRoute
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := retry(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, fmt.Errorf("list the host's routes: %w", err)
		}
		for _, r := range routes {
			if r.Type != unix.RTN_UNICAST && r.Type != unix.RTN_LOCAL || r.Dst == nil {
				continue
			}
			address, ok := netip.AddrFromSlice(r.Dst.IP)
			if !ok {
				continue
			}
			bits, _ := r.Dst.Mask.Size()
			all = append(all, hostRoute{netip.PrefixFrom(address.Unmap(), bits), r.LinkIndex, r.Type == unix.RTN_LOCAL})
		}
	}
	return all, nil
}

// routedAddresses are the addresses that the host routes to pods' links.
func routedAddresses(links map[int]types.UID) (map[netip.Addr]types.UID, error) {
	routes, err := hostRoutes()
	if err != nil {
		return nil, err
	}
	routed := map[netip.Addr]types.UID{}
	for _, r := range routes {
		if uid, ours := links[r.link]; ours && !r.local && r.dst.IsSingleIP() {
			routed[r.dst.Addr()] = uid
		}
	}
	return routed, nil
}

// wide tells of routes that stand for "everywhere": the default route, its
// halves as VPNs set them, and all of IPv6's global or local addresses.
func wide(p netip.Prefix) bool { return p.Bits() < 8 }

// purpose is what a range of addresses is for, and the field that sets it.
type purpose struct{ what, field string }

func forPods() purpose     { return purpose{"pods", "network.podCIDRs"} }
func forServices() purpose { return purpose{"Services", "network.serviceCIDRs"} }

// overlap refuses a range that the host has a route of its own into: pods and
// Services would take addresses of others. Those on the host's loopback don't
// count for a range that is in use there.
func overlap(r netip.Prefix, p purpose, inUse bool) error {
	routes, err := hostRoutes()
	if err != nil {
		return err
	}
	ours, err := podLinks()
	if err != nil {
		return err
	}
	for _, other := range routes {
		if wide(other.dst) || !other.dst.Overlaps(r) || ours[other.link] || inUse && other.link == loopbackIndex {
			continue
		}
		through := "several links"
		if other.link != 0 {
			l, err := netlink.LinkByIndex(other.link)
			if err != nil {
				continue // The link is gone by now, and its routes are.
			}
			through = l.Attrs().Name
		}
		return &pod.Refused{Reason: reasonNotReady, Message: fmt.Sprintf(
			"the range of %s %s overlaps the host's route to %s through %s: choose another range in %s or remove the route; it is tried again",
			p.what, r, other.dst, through, p.field)}
	}
	return nil
}

// podLinks are the indices of the links of pods of any podstead on this host.
func podLinks() (map[int]bool, error) {
	links, err := retry(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the host's links: %w", err)
	}
	ours := map[int]bool{}
	for _, l := range links {
		if l.Attrs().Group == linkGroup {
			ours[l.Attrs().Index] = true
		}
	}
	return ours, nil
}

func route(a netip.Addr, link int) *netlink.Route {
	r := &netlink.Route{LinkIndex: link, Dst: hostNet(a), Protocol: unix.RTPROT_STATIC}
	if a.Is4() {
		r.Scope = netlink.SCOPE_LINK
	}
	return r
}

// keepRoute puts back the route to an address that the pod holds.
func keepRoute(a netip.Addr, link int) error {
	err := netlink.RouteAdd(route(a, link))
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add the route to %s: %w", a, err)
	}
	routes, err := hostRoutes()
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.link == link && r.dst == netip.PrefixFrom(a, a.BitLen()) {
			return nil
		}
	}
	return &pod.Refused{Reason: reasonNotReady, Message: fmt.Sprintf(
		"the pod's address %s is routed elsewhere on this host: remove that route (ip route get %s); it is tried again", a, a)}
}
