package network

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DefaultPodCIDRs are the ranges of pods' addresses where none are
// configured: outside of what clouds, Kubernetes, Docker, Podman and VPNs use
// by default.
func DefaultPodCIDRs() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.117.0.0/16"), netip.MustParsePrefix("fd5b:3c1e:9a27:117::/64")}
}

// DefaultServiceCIDRs are the ranges of Services' addresses where none are
// configured: one of each family that pods have, beside their own default or
// wherever that leaves room.
func DefaultServiceCIDRs(pods []netip.Prefix) []netip.Prefix {
	var ranges []netip.Prefix
	for _, choices := range [][]string{
		{"10.118.0.0/16", "10.119.0.0/16", "172.29.0.0/16"},
		{"fd5b:3c1e:9a27:118::/112", "fd5b:3c1e:9a27:119::/112", "fdb8:41d2:6e0a:118::/112"},
	} {
		for _, text := range choices {
			r := netip.MustParsePrefix(text)
			if !slices.ContainsFunc(pods, func(p netip.Prefix) bool { return p.Addr().Is6() == r.Addr().Is6() }) {
				break
			}
			if !slices.ContainsFunc(pods, r.Overlaps) {
				ranges = append(ranges, r)
				break
			}
		}
	}
	return ranges
}

// CheckServiceCIDR tells what is wrong with a range of Services' addresses, in
// words that follow "want"; empty for one that can be used.
func CheckServiceCIDR(r netip.Prefix, pods []netip.Prefix) string {
	if want := CheckPodCIDR(r); want != "" {
		return want
	}
	if r.Addr().BitLen()-r.Bits() < 4 {
		return "16 addresses or more"
	}
	for _, p := range pods {
		if p.Overlaps(r) {
			return "a range apart from that of pods, " + p.String()
		}
	}
	return ""
}

func checkServiceRanges(ranges, pods []netip.Prefix) error {
	seen := map[bool]netip.Prefix{}
	for _, r := range ranges {
		if want := CheckServiceCIDR(r, pods); want != "" {
			return fmt.Errorf("range of Services %s: want %s", r, want)
		}
		if other, twice := seen[r.Addr().Is6()]; twice {
			return fmt.Errorf("ranges of Services %s and %s: want at most one of each family", other, r)
		}
		seen[r.Addr().Is6()] = r
	}
	return nil
}

// nameServer is the number of the address in a range at which pods ask for
// names, the same as in most clusters.
const nameServer = 10

// NameServers returns the address of each range at which pods ask for names.
// It is the host's own, so no Service may have it.
func NameServers(ranges []netip.Prefix) []netip.Addr {
	addrs := make([]netip.Addr, len(ranges))
	for i, r := range ranges {
		a := r.Masked().Addr()
		for range nameServer {
			a = a.Next()
		}
		addrs[i] = a
	}
	return addrs
}

// serviceRanges makes the host know the way to Services' addresses, which are
// on no link. Without, a host without a default route would refuse to send to
// them before any rule could lead it to an endpoint. For that the host has
// one address of each range, that of names, and a route of the range; both
// are on its loopback, since that is always there. In IPv4 the route leads
// through it, for the host would answer ARP for addresses that are local; in
// IPv6 the range is local, for the kernel routes nothing else through it.
type serviceRanges struct {
	ranges []netip.Prefix
	// file notes the ranges that have been made ways to, one a line.
	file string

	mu    sync.Mutex
	inUse []netip.Prefix
}

// use makes the ways that are not there and returns the ranges that have one,
// and why others have none.
func (s *serviceRanges) use() ([]netip.Prefix, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	six := ipv6Enabled()
	wanted := slices.DeleteFunc(slices.Clone(s.ranges), func(r netip.Prefix) bool { return r.Addr().Is6() && !six })
	if slices.Equal(wanted, s.inUse) {
		return s.inUse, nil
	}
	noted, err := s.noted()
	if err != nil {
		return s.inUse, err
	}
	for _, r := range noted {
		if !slices.Contains(s.ranges, r) {
			err = errors.Join(err, unmakeWay(r))
		}
	}
	s.inUse = nil
	for _, r := range wanted {
		if !slices.Contains(noted, r) {
			if refusal := overlap(r, forServices(), false); refusal != nil {
				err = errors.Join(err, refusal)
				continue
			}
		}
		// It is noted before it is made, so that it is found to be ours.
		failed := s.note(append(slices.Clone(s.inUse), r))
		if failed == nil {
			failed = makeWay(r)
		}
		if failed != nil {
			err = errors.Join(err, failed, unmakeWay(r))
			continue
		}
		s.inUse = append(s.inUse, r)
	}
	return s.inUse, errors.Join(err, s.note(s.inUse))
}

// mend makes ways again that somebody took. It tells which.
func (s *serviceRanges) mend() ([]netip.Prefix, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lost []netip.Prefix
	for _, r := range s.inUse {
		there, err := hasWay(r)
		if err == nil && !there {
			lost = append(lost, r)
			err = makeWay(r)
		}
		if err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// leave takes all ways away.
func (s *serviceRanges) leave() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	noted, err := s.noted()
	for _, r := range noted {
		err = errors.Join(err, unmakeWay(r))
	}
	if err != nil {
		return err
	}
	s.inUse = nil
	if err := os.Remove(s.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the note of Services' ranges: %w", err)
	}
	return nil
}

// current are the ranges in use.
func (s *serviceRanges) current() []netip.Prefix {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inUse
}

// left are the ranges in use, by this podstead or still by the one before.
func (s *serviceRanges) left() ([]netip.Prefix, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	noted, err := s.noted()
	return slices.Concat(s.inUse, noted), err
}

func (s *serviceRanges) noted() ([]netip.Prefix, error) {
	text, err := os.ReadFile(s.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read which ranges Services have: %w", err)
	}
	var ranges []netip.Prefix
	for _, word := range strings.Fields(string(text)) {
		if r, err := netip.ParsePrefix(word); err == nil {
			ranges = append(ranges, r)
		}
	}
	return ranges, nil
}

func (s *serviceRanges) note(ranges []netip.Prefix) error {
	var text strings.Builder
	for _, r := range ranges {
		fmt.Fprintln(&text, r)
	}
	if now, err := os.ReadFile(s.file); err == nil && string(now) == text.String() {
		return nil
	}
	err := os.MkdirAll(filepath.Dir(s.file), 0o755)
	if err == nil {
		err = renameio.WriteFile(s.file, []byte(text.String()), 0o644)
	}
	if err != nil {
		return fmt.Errorf("note which ranges Services have: %w", err)
	}
	return nil
}

// ethernetMTU is what the kernel gives the links of pods where defaultMTU
// leaves the choice to it. A connection is begun with the MTU of its first
// route, and one that is begun with that of the loopback is slower for it.
const ethernetMTU = 1500

// way is the host's address in a range and its route to the range. Nothing
// else is ever sent from that address: it is of the scope host in IPv4, and
// deprecated in IPv6.
func way(r netip.Prefix) (*netlink.Addr, *netlink.Route) {
	own := NameServers([]netip.Prefix{r})[0]
	dst := &net.IPNet{IP: r.Addr().AsSlice(), Mask: net.CIDRMask(r.Bits(), r.Addr().BitLen())}
	route := &netlink.Route{LinkIndex: loopbackIndex, Dst: dst, Src: own.AsSlice(), Protocol: unix.RTPROT_STATIC, MTU: cmp.Or(defaultMTU(), ethernetMTU)}
	address := &netlink.Addr{IPNet: hostNet(own)}
	if own.Is4() {
		route.Scope, address.Scope = netlink.SCOPE_LINK, unix.RT_SCOPE_HOST
		return address, route
	}
	route.Type, route.Table = unix.RTN_LOCAL, unix.RT_TABLE_LOCAL
	address.Flags, address.ValidLft = unix.IFA_F_NODAD|unix.IFA_F_NOPREFIXROUTE, math.MaxInt32 // seconds
	return address, route
}

func loopbackLink() netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: loopbackIndex, Name: "lo"}}
}

func makeWay(r netip.Prefix) error {
	address, route := way(r)
	if err := netlink.AddrReplace(loopbackLink(), address); err != nil {
		return fmt.Errorf("add address %s to link lo: %w", address.IPNet, err)
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("add the route to the range of Services %s: %w", r, err)
	}
	return nil
}

func unmakeWay(r netip.Prefix) error {
	address, route := way(r)
	if err := netlink.RouteDel(route); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("delete the route to the range of Services %s: %w", r, err)
	}
	if err := netlink.AddrDel(loopbackLink(), address); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("delete address %s from link lo: %w", address.IPNet, err)
	}
	return nil
}

func hasWay(r netip.Prefix) (bool, error) {
	address, route := way(r)
	routes, err := hostRoutes()
	if err != nil {
		return false, err
	}
	local, err := localAddresses()
	if err != nil {
		return false, err
	}
	own, _ := netip.AddrFromSlice(address.IP)
	return local[own.Unmap()] && slices.ContainsFunc(routes, func(h hostRoute) bool {
		return h.dst == r && h.link == route.LinkIndex && h.local == (route.Type == unix.RTN_LOCAL)
	}), nil
}
