package network

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// reasonNotReady is Kubernetes' word for a pod whose network can't be had.
const reasonNotReady = "NetworkNotReady"

// addresses gives pods their addresses. An address is taken by adding the
// host's route to it, which the kernel lets succeed once: so it is never given
// twice, not even by two podsteads on one host, and it is kept over restarts.
type addresses struct {
	owner   string
	records records
	mu      sync.Mutex
	pools   []*pool
	// held are the addresses of each pod, IPv4 first; used is the reverse.
	held map[types.UID][]netip.Addr
	used map[netip.Addr]types.UID
	// bare are pods with a namespace of an earlier podstead's and no address
	// that anything tells of.
	bare map[types.UID]bool
	// observed tells that the kernel was asked who holds what.
	observed bool
	// gone are pods that are being removed: what vanishes of them is no news.
	gone map[types.UID]bool
}

func newAddresses(ranges []netip.Prefix, owner string, r records) *addresses {
	a := &addresses{owner: owner, records: r, held: map[types.UID][]netip.Addr{}, used: map[netip.Addr]types.UID{}, bare: map[types.UID]bool{}, gone: map[types.UID]bool{}}
	for _, r := range ranges {
		a.pools = append(a.pools, &pool{prefix: r.Masked()})
	}
	slices.SortStableFunc(a.pools, func(x, y *pool) int { return x.prefix.Addr().BitLen() - y.prefix.Addr().BitLen() })
	return a
}

// CheckPodCIDR tells what is wrong with a range of pods' addresses, in words
// that follow "want"; empty for one that can be used.
func CheckPodCIDR(r netip.Prefix) string {
	a := r.Addr()
	switch {
	case !r.IsValid() || a.Is4In6():
		return "an IPv4 or IPv6 range such as 10.117.0.0/16"
	case r.Masked() != r:
		return r.Masked().String() + ", the range that this is in"
	case a.BitLen()-r.Bits() < 2:
		return "four addresses or more"
	case a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsUnspecified():
		return "addresses that can be routed"
	}
	return ""
}

func checkRanges(ranges []netip.Prefix) error {
	seen := map[bool]netip.Prefix{}
	for _, r := range ranges {
		if want := CheckPodCIDR(r); want != "" {
			return fmt.Errorf("range of pods %s: want %s", r, want)
		}
		if other, twice := seen[r.Addr().Is6()]; twice {
			return fmt.Errorf("ranges of pods %s and %s: want at most one of each family", other, r)
		}
		seen[r.Addr().Is6()] = r
	}
	return nil
}

// claim returns the addresses of a pod, IPv4 first, with the host's routes
// through its link. What it has it keeps, whatever the ranges are now. They
// are on record before the pod can use them.
func (a *addresses) claim(uid types.UID, link int, six bool) ([]netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.observe(); err != nil {
		return nil, err
	}
	delete(a.gone, uid)
	for _, has := range a.held[uid] {
		if err := keepRoute(has, link); err != nil {
			return nil, err
		}
	}
	for _, p := range a.pools {
		if p.six() && !six || slices.ContainsFunc(a.held[uid], func(x netip.Addr) bool { return x.Is6() == p.six() }) {
			continue
		}
		if err := a.take(p, uid, link); err != nil {
			return nil, err
		}
	}
	if len(a.held[uid]) == 0 {
		return nil, &pod.Refused{Reason: reasonNotReady, Message: "the host has IPv6 switched off and the ranges of pods have no IPv4: " +
			"add an IPv4 range to network.podCIDRs; it is tried again"}
	}
	if err := a.records.put(uid, a.held[uid]); err != nil {
		return nil, err
	}
	delete(a.bare, uid)
	return slices.Clone(a.held[uid]), nil
}

// take gives the pod the next free address after the one given last: an
// address comes back as late as can be, when nobody talks to its last holder.
func (a *addresses) take(p *pool, uid types.UID, link int) error {
	if err := overlap(p.prefix, forPods(), false); err != nil {
		return err
	}
	for candidate := range p.candidates() {
		if _, taken := a.used[candidate]; taken {
			continue
		}
		err := netlink.RouteAdd(route(candidate, link))
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return fmt.Errorf("add the route to %s: %w", candidate, err)
		}
		a.hold(uid, candidate)
		p.last = candidate
		return nil
	}
	return &pod.Refused{Reason: reasonNotReady, Message: fmt.Sprintf(
		"no address is left in %s: all %d are used by pods; widen network.podCIDRs or stop pods; it is tried again", p.prefix, p.count())}
}

func (a *addresses) hold(uid types.UID, address netip.Addr) {
	a.used[address] = uid
	a.held[uid] = append(a.held[uid], address)
	slices.SortFunc(a.held[uid], netip.Addr.Compare)
}

// leaving says that a pod's link is about to go on purpose.
func (a *addresses) leaving(uid types.UID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone[uid] = true
	return a.observe()
}

// release frees the addresses of a pod whose link and namespace are gone. It
// tells whether the pod was the last that had any.
func (a *addresses) release(uid types.UID) (last bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.records.remove(uid); err != nil {
		return false, err
	}
	had := len(a.held[uid]) > 0
	for _, address := range a.held[uid] {
		delete(a.used, address)
	}
	delete(a.held, uid)
	delete(a.bare, uid)
	delete(a.gone, uid)
	return had && len(a.held) == 0, nil
}

// keeps tells whether a pod is still there and not being removed: what
// vanishes of one that is, did so by our doing.
func (a *addresses) keeps(uid types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return (len(a.held[uid]) > 0 || a.bare[uid]) && !a.gone[uid]
}

// start looks, once, what an earlier podstead left. It comes before the first
// namespace is made, which is not bare but new.
func (a *addresses) start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.observe()
}

// without returns the pods that have a namespace and no address.
func (a *addresses) without() []types.UID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.bare))
}

// holders returns the addresses of all pods that are not being removed.
func (a *addresses) holders() (map[types.UID][]netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.observe(); err != nil {
		return nil, err
	}
	held := map[types.UID][]netip.Addr{}
	for uid, addrs := range a.held {
		if !a.gone[uid] {
			held[uid] = slices.Clone(addrs)
		}
	}
	return held, nil
}

// observe asks once who holds which address: the kernel, of the host's routes
// through pods' links, which no pod can change, and the records where those
// are gone. The next new address comes after the highest.
func (a *addresses) observe() error {
	if a.observed {
		return nil
	}
	links, err := ownLinks(a.owner)
	if err != nil {
		return err
	}
	routed, err := routedAddresses(links)
	if err != nil {
		return err
	}
	pinned, err := a.records.pinned()
	if err != nil {
		return err
	}
	for address, uid := range routed {
		a.find(uid, address)
	}
	for _, uid := range slices.Sorted(maps.Keys(pinned)) {
		for _, address := range pinned[uid] {
			if _, taken := a.used[address]; !taken {
				a.find(uid, address)
			}
		}
		a.bare[uid] = len(a.held[uid]) == 0
	}
	maps.DeleteFunc(a.bare, func(_ types.UID, bare bool) bool { return !bare })
	a.observed = true
	return nil
}

func (a *addresses) find(uid types.UID, address netip.Addr) {
	a.hold(uid, address)
	for _, p := range a.pools {
		if p.prefix.Contains(address) && (!p.last.IsValid() || p.last.Less(address)) {
			p.last = address
		}
	}
}

// pool is a range of addresses.
type pool struct {
	prefix netip.Prefix
	// last is the address that was given last, not valid before the first.
	last netip.Addr
}

func (p *pool) six() bool { return p.prefix.Addr().Is6() }

// reserved is how many addresses at the ends of the range are not given: the
// range's own (in IPv6 that of its routers), and the broadcast address.
func (p *pool) reserved() int {
	if p.six() {
		return 1
	}
	return 2
}

// count is how many addresses can be given, at most MaxInt64.
func (p *pool) count() int64 {
	bits := p.prefix.Addr().BitLen() - p.prefix.Bits()
	if bits >= 63 {
		return math.MaxInt64
	}
	return 1<<bits - int64(p.reserved())
}

// candidates are all addresses that can be given, from the one after last.
func (p *pool) candidates() iter.Seq[netip.Addr] {
	first := p.prefix.Addr().Next()
	usable := func(a netip.Addr) bool {
		return a.IsValid() && p.prefix.Contains(a) && (p.six() || p.prefix.Contains(a.Next()))
	}
	start := first
	if p.last.IsValid() && usable(p.last.Next()) {
		start = p.last.Next()
	}
	return func(yield func(netip.Addr) bool) {
		for a := start; usable(a); a = a.Next() {
			if !yield(a) {
				return
			}
		}
		for a := first; a != start; a = a.Next() {
			if !yield(a) {
				return
			}
		}
	}
}
