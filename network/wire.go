package network

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// linkGroup marks the host's ends of pods' links, so that rules know them
	// without naming each: "POD" in ASCII.
	linkGroup = 0x504f44
	// podLink is the pod's end.
	podLink = "eth0"
	// linkPrefix begins the name of the host's end.
	linkPrefix = "pod"
	// aliasPrefix begins the alias of a link, which says whose it is.
	aliasPrefix = "podstead:"
)

// gateway4 and gateway6 are the host as pods see it, the same on each link.
func gateway4() netip.Addr { return netip.AddrFrom4([4]byte{169, 254, 1, 1}) }
func gateway6() netip.Addr { return netip.MustParseAddr("fe80::1") }

// wire is a pod's link to the host. Names and hardware addresses follow from
// the pod's UID, so that what a crash left is found and finished.
type wire struct {
	uid  types.UID
	path string
	// name is the host's end: pod and twelve hex digits, the fifteen
	// characters that the kernel allows.
	name            string
	alias           string
	hostMAC, podMAC net.HardwareAddr
}

func newWire(owner string, uid types.UID, path string) wire {
	sum := sha256.Sum256([]byte(owner + ":" + string(uid)))
	// Hardware addresses that are set explicitly are left alone by udev;
	// 02 and 06 are locally administered unicast.
	return wire{
		uid: uid, path: path, name: linkName(owner, uid), alias: aliasPrefix + owner + ":" + string(uid),
		hostMAC: append(net.HardwareAddr{0x02}, sum[10:15]...), podMAC: append(net.HardwareAddr{0x06}, sum[10:15]...),
	}
}

func linkName(owner string, uid types.UID) string {
	return linkPrefix + digest(owner + ":" + string(uid))[:12]
}

// isLinkName tells of names that links of pods have, of any podstead.
func isLinkName(name string) bool {
	return len(name) == len(linkPrefix)+12 && strings.HasPrefix(name, linkPrefix)
}

// ownLinks returns the UID of each pod's link on the host by its index.
func ownLinks(owner string) (map[int]types.UID, error) {
	links, err := retry(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the host's links: %w", err)
	}
	own := map[int]types.UID{}
	for _, l := range links {
		if uid, ok := strings.CutPrefix(l.Attrs().Alias, aliasPrefix+owner+":"); ok && l.Attrs().Group == linkGroup {
			own[l.Attrs().Index] = types.UID(uid)
		}
	}
	return own, nil
}

// retry asks again when the kernel's answer changed while it was read.
func retry[T any](list func() ([]T, error)) ([]T, error) {
	for range 10 {
		if all, err := list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return list()
}

// inside opens a handle in the pod's namespace.
func (w wire) inside() (*netlink.Handle, netns.NsHandle, error) {
	ns, err := netns.GetFromPath(w.path)
	if err != nil {
		return nil, ns, fmt.Errorf("open namespace: %w", err)
	}
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, ns, errors.Join(fmt.Errorf("talk to the kernel in namespace %s: %w", w.path, err), ns.Close())
	}
	return h, ns, nil
}

// ensureLink makes the link or finds it made. An end without the other is
// removed: the kernel never leaves one, so somebody else moved it.
func (w wire) ensureLink() (netlink.Link, error) {
	h, ns, err := w.inside()
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	defer h.Close()
	host, hostErr := netlink.LinkByName(w.name)
	end, podErr := h.LinkByName(podLink)
	if err := errors.Join(unlessGone(hostErr), unlessGone(podErr)); err != nil {
		return nil, fmt.Errorf("find link %s: %w", w.name, err)
	}
	if hostErr == nil && podErr == nil && end.Attrs().ParentIndex == host.Attrs().Index && host.Attrs().ParentIndex == end.Attrs().Index {
		return host, w.mark(host)
	}
	if hostErr == nil {
		if err := netlink.LinkDel(host); unlessGone(err) != nil {
			return nil, fmt.Errorf("remove link %s that leads nowhere: %w", w.name, err)
		}
		end, podErr = h.LinkByName(podLink) // It went too if it was the other end.
	}
	if podErr == nil {
		if err := h.LinkDel(end); unlessGone(err) != nil {
			return nil, fmt.Errorf("remove a link %s that is not ours from the pod: %w", podLink, err)
		}
	}
	return w.makeLink(ns)
}

// makeLink makes both ends in one step, with all that marks them as ours.
func (w wire) makeLink(ns netns.NsHandle) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Alias, attrs.Group, attrs.HardwareAddr = w.name, w.alias, linkGroup, w.hostMAC
	attrs.MTU = defaultMTU()
	v := netlink.NewVeth(attrs)
	v.PeerName, v.PeerHardwareAddr, v.PeerMTU, v.PeerNamespace = podLink, w.podMAC, uint32(attrs.MTU), netlink.NsFd(ns)
	if err := netlink.LinkAdd(v); err != nil {
		return nil, fmt.Errorf("make link %s: %w", w.name, err)
	}
	host, err := netlink.LinkByName(w.name)
	if err != nil {
		return nil, fmt.Errorf("find link %s: %w", w.name, err)
	}
	return host, w.mark(host)
}

// mark gives the link back what says that it is ours.
func (w wire) mark(host netlink.Link) error {
	if host.Attrs().Group != linkGroup {
		if err := netlink.LinkSetGroup(host, linkGroup); err != nil {
			return fmt.Errorf("set the group of link %s: %w", w.name, err)
		}
	}
	if host.Attrs().Alias != w.alias {
		if err := netlink.LinkSetAlias(host, w.alias); err != nil {
			return fmt.Errorf("set the alias of link %s: %w", w.name, err)
		}
	}
	return nil
}

// defaultMTU is that of the link to the outside, 0 for the kernel's choice: a
// pod must not send or announce more than passes there.
func defaultMTU() int {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		index, err := defaultLink(family)
		if err != nil || index == 0 {
			continue
		}
		if l, err := netlink.LinkByIndex(index); err == nil {
			return l.Attrs().MTU
		}
	}
	return 0
}

// hostSide sets up the host's end. It has the gateway's addresses, so a host
// without an address of its own reaches its pods all the same. A pod must not
// become the host's router.
func (w wire) hostSide(host netlink.Link, six bool) error {
	if six {
		for key, value := range map[string]string{"disable_ipv6": "0", "accept_ra": "0", "addr_gen_mode": "1"} {
			if err := setSysctl("net/ipv6/conf/"+w.name+"/"+key, value); err != nil {
				return err
			}
		}
	}
	if err := netlink.LinkSetUp(host); err != nil {
		return fmt.Errorf("set link %s up: %w", w.name, err)
	}
	gateways := []*netlink.Addr{{IPNet: hostNet(gateway4()), Scope: unix.RT_SCOPE_LINK}}
	if six {
		gateways = append(gateways, &netlink.Addr{
			IPNet: &net.IPNet{IP: gateway6().AsSlice(), Mask: net.CIDRMask(64, 128)},
			Scope: unix.RT_SCOPE_LINK, Flags: unix.IFA_F_NODAD,
		})
	}
	for _, a := range gateways {
		if err := netlink.AddrReplace(host, a); err != nil {
			return fmt.Errorf("add address %s to link %s: %w", a.IPNet, w.name, err)
		}
	}
	return nil
}

// podSide sets up the pod's end with its addresses, and makes both ends know
// each other for good: nobody has to answer for somebody else.
func (w wire) podSide(host netlink.Link, addrs []netip.Addr) error {
	h, ns, err := w.inside()
	if err != nil {
		return err
	}
	defer ns.Close()
	defer h.Close()
	end, err := h.LinkByName(podLink)
	if err != nil {
		return fmt.Errorf("find link %s of the pod: %w", podLink, err)
	}
	for _, a := range addrs {
		address := &netlink.Addr{IPNet: hostNet(a)}
		if a.Is6() {
			address.Flags = unix.IFA_F_NODAD
		}
		if err := h.AddrReplace(end, address); err != nil {
			return fmt.Errorf("add address %s to the pod: %w", a, err)
		}
	}
	// The pod has no link-local address: it would answer its gateway from that
	// one, and not from the address that it was asked at.
	if slices.ContainsFunc(addrs, netip.Addr.Is6) {
		if err := h.LinkSetIP6AddrGenMode(end, nl.IN6_ADDR_GEN_MODE_NONE); err != nil {
			return fmt.Errorf("keep link %s of the pod from making addresses: %w", podLink, err)
		}
	}
	if err := h.LinkSetUp(end); err != nil {
		return fmt.Errorf("set link %s of the pod up: %w", podLink, err)
	}
	for _, a := range addrs {
		if err := netlink.NeighSet(neighbor(host, a, end.Attrs().HardwareAddr)); err != nil {
			return fmt.Errorf("add neighbor %s to link %s: %w", a, w.name, err)
		}
		if err := routesOut(h, end, a.Is6(), host.Attrs().HardwareAddr); err != nil {
			return err
		}
	}
	return nil
}

// routesOut gives a pod its way out for one family.
func routesOut(h *netlink.Handle, end netlink.Link, six bool, mac net.HardwareAddr) error {
	gateway := gateway4()
	if six {
		gateway = gateway6()
	}
	if err := h.NeighSet(neighbor(end, gateway, mac)); err != nil {
		return fmt.Errorf("add neighbor %s to the pod: %w", gateway, err)
	}
	route := &netlink.Route{LinkIndex: end.Attrs().Index, Gw: gateway.AsSlice(), Flags: int(netlink.FLAG_ONLINK), Protocol: unix.RTPROT_STATIC}
	if err := h.RouteReplace(route); err != nil {
		return fmt.Errorf("add the default route through %s to the pod: %w", gateway, err)
	}
	return nil
}

func neighbor(link netlink.Link, a netip.Addr, mac net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{
		LinkIndex: link.Attrs().Index, Family: family(a), State: netlink.NUD_PERMANENT,
		IP: a.AsSlice(), HardwareAddr: slices.Clone(mac),
	}
}

// removeLink removes both ends, and with them the host's routes.
func (w wire) removeLink() error {
	link, err := netlink.LinkByName(w.name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if unlessGone(err) != nil {
		return fmt.Errorf("remove link %s: %w", w.name, err)
	}
	return nil
}

func unlessGone(err error) error {
	if _, gone := errors.AsType[netlink.LinkNotFoundError](err); gone || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func hostNet(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}
