package network

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"k8s.io/apimachinery/pkg/types"
)

// How often it is told again that a pod is cut off, which somebody may miss or
// fail to mend: at first, and at most.
const (
	retell    = time.Second
	retellMax = 30 * time.Second
)

// cuts are the pods of which it was told that they are cut off.
type cuts map[types.UID]cut

type cut struct {
	next time.Time
	wait time.Duration
}

// due tells whether to tell of a pod now, and whether for the first time.
func (c cuts) due(uid types.UID, now time.Time) (due, first bool) {
	last, told := c[uid]
	if told && now.Before(last.next) {
		return false, false
	}
	wait := min(max(2*last.wait, retell), retellMax)
	c[uid] = cut{now.Add(wait), wait}
	return true, !told
}

// hostState is what the kernel has of the host's ends of all links.
type hostState struct {
	links  map[string]netlink.Link
	routed map[netip.Addr]int
	// addresses and neighbors are those of each link, the latter permanent.
	addresses, neighbors map[end]bool
}

type end struct {
	link int
	ip   netip.Addr
}

func readHost() (*hostState, error) {
	s := &hostState{map[string]netlink.Link{}, map[netip.Addr]int{}, map[end]bool{}, map[end]bool{}}
	links, err := retry(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the host's links: %w", err)
	}
	pods := map[int]bool{}
	for _, l := range links {
		s.links[l.Attrs().Name] = l
		pods[l.Attrs().Index] = isLinkName(l.Attrs().Name)
	}
	routes, err := hostRoutes()
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if pods[r.link] && !r.local && r.dst.IsSingleIP() {
			s.routed[r.dst.Addr()] = r.link
		}
	}
	addrs, err := retry(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	for _, a := range addrs {
		s.addresses[newEnd(a.LinkIndex, a.IP)] = true
	}
	neighbors, err := retry(func() ([]netlink.Neigh, error) { return netlink.NeighList(0, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the host's neighbors: %w", err)
	}
	for _, n := range neighbors {
		if n.State&netlink.NUD_PERMANENT != 0 {
			s.neighbors[newEnd(n.LinkIndex, n.IP)] = true
		}
	}
	return s, nil
}

func newEnd(link int, ip net.IP) end {
	a, _ := netip.AddrFromSlice(ip)
	return end{link, a.Unmap()}
}

// faults says what a link lacks of what hostSide, mark and claim give it.
func (s *hostState) faults(w wire, link netlink.Link, addrs []netip.Addr) []string {
	attrs := link.Attrs()
	var list []string
	lacks := func(is bool, format string, args ...any) {
		if is {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	lacks(attrs.Flags&net.FlagUp == 0, "the link being up")
	lacks(attrs.Group != linkGroup, "the group %d", linkGroup)
	lacks(attrs.Alias != w.alias, "the alias %s", w.alias)
	for _, a := range addrs {
		gateway := gateway4()
		if a.Is6() {
			gateway = gateway6()
		}
		lacks(!s.addresses[end{attrs.Index, gateway}], "the address %s", gateway)
		lacks(s.routed[a] != attrs.Index, "the route to %s", a)
		lacks(!s.neighbors[end{attrs.Index, a}], "the neighbor %s", a)
	}
	return list
}

// mendHost puts back what it can of the host's ends of pods' links, and tells
// of pods that are cut off. It returns when to look again without a sign.
func (n *Network) mendHost(told cuts) (time.Duration, error) {
	if err := n.keepWays(); err != nil {
		return again, err
	}
	held, err := n.addrs.holders()
	if err != nil {
		return anyway, err
	}
	bare := n.addrs.without()
	if len(held)+len(bare) == 0 {
		clear(told)
		return anyway, nil
	}
	// Who is not in the works now had all of its network before it is looked at.
	making := n.beingMade()
	state, err := readHost()
	if err != nil {
		return anyway, err
	}
	six, wait := ipv6Enabled(), anyway
	uids := append(slices.Collect(maps.Keys(held)), bare...)
	slices.Sort(uids)
	for _, uid := range slices.Compact(uids) {
		addrs := slices.DeleteFunc(held[uid], func(a netip.Addr) bool { return a.Is6() && !six })
		if making[uid] > 0 {
			wait = min(wait, again)
		} else if len(addrs) == 0 && len(held[uid]) > 0 {
			delete(told, uid) // Without the host's IPv6 it has nothing to mend.
		} else if cutOff := n.mendPod(uid, state, addrs); cutOff == "" || !n.addrs.keeps(uid) {
			delete(told, uid)
		} else {
			n.tellCutOff(uid, told, cutOff)
			wait = min(wait, max(time.Until(told[uid].next), settle))
		}
	}
	return wait, n.keepForwarding()
}

// keepWays makes the ways to Services again that somebody took.
func (n *Network) keepWays() error {
	lost, err := n.ways.mend()
	for _, r := range lost {
		n.cfg.Report(Event{Message: fmt.Sprintf("somebody took from link lo the address of names or the route to the range of Services %s: it was put back", r)})
	}
	return err
}

// tellCutOff tells once what happened, and again, as long as it is so, that
// the pod is cut off.
func (n *Network) tellCutOff(uid types.UID, told cuts, message string) {
	due, first := told.due(uid, time.Now())
	if !due {
		return
	}
	if !first {
		message = ""
	}
	n.cfg.Report(Event{UID: uid, CutOff: true, Message: message})
}

// mendPod puts back what the host's end of a pod's link lacks. It says why it
// can't.
func (n *Network) mendPod(uid types.UID, state *hostState, addrs []netip.Addr) (cutOff string) {
	path, err := n.path(uid)
	if err != nil {
		return err.Error()
	}
	w := newWire(n.owner, uid, path)
	link, ok := state.links[w.name]
	switch {
	case !ok:
		return "somebody removed the link " + w.name + " of the pod: it is made again"
	case len(addrs) == 0:
		return "the pod has no address on link " + w.name + ": it is connected again"
	}
	faults := state.faults(w, link, addrs)
	if len(faults) == 0 || !n.addrs.keeps(uid) {
		return ""
	}
	lost := fmt.Sprintf("somebody took from link %s of the pod %s", w.name, strings.Join(faults, ", "))
	if err := w.putBack(link, addrs); err != nil {
		return fmt.Sprintf("%s, and it can't be put back: %v; the pod is connected again", lost, err)
	}
	if n.addrs.keeps(uid) { // otherwise it is being removed by now
		n.cfg.Report(Event{UID: uid, Message: lost + ": it was put back"})
	}
	return ""
}

// putBack sets up the host's end and what leads to it.
func (w wire) putBack(link netlink.Link, addrs []netip.Addr) error {
	if err := w.mark(link); err != nil {
		return err
	}
	if err := w.hostSide(link, slices.ContainsFunc(addrs, netip.Addr.Is6)); err != nil {
		return err
	}
	for _, a := range addrs {
		if err := keepRoute(a, link.Attrs().Index); err != nil {
			return err
		}
	}
	return w.podSide(link, addrs)
}
