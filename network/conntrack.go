package network

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// moved matches connections of UDP whose server is none any more. The kernel
// goes on with where the first packet went, and a client that keeps sending
// would never reach another.
type moved struct {
	// servers are where each port leads whose servers are others than before;
	// none if it leads nowhere any more, or to the host itself.
	servers map[udpKey][]netip.AddrPort
	local   map[netip.Addr]bool
	// ranges are those of Services of which nobody knows what was before.
	ranges []netip.Prefix
}

type udpKey struct {
	ip   netip.Addr // not valid for all addresses of the host
	six  bool
	port uint16
}

func udpPorts(c pod.NetworkConfig) map[udpKey][]netip.AddrPort {
	all := map[udpKey][]netip.AddrPort{}
	put := func(key udpKey, to ...netip.AddrPort) {
		if _, taken := all[key]; !taken {
			all[key] = to
		}
	}
	for i := range c.Services {
		s := &c.Services[i]
		for k := range s.Ports {
			p := &s.Ports[k]
			if p.Protocol != corev1.ProtocolUDP {
				continue
			}
			for _, ip := range append(parse(s.ClusterIPs), parse(s.HostIPs)...) {
				put(udpKey{ip, ip.Is6(), uint16(p.Port)}, endpointsOf(p, ip.Is6())...)
			}
			for _, six := range []bool{false, true} {
				if p.NodePort != 0 {
					put(udpKey{netip.Addr{}, six, uint16(p.NodePort)}, endpointsOf(p, six)...)
				}
			}
		}
	}
	forEachPort(c, func(ips []netip.Addr, m pod.PortMapping) {
		if m.Protocol != corev1.ProtocolUDP {
			return
		}
		host, _ := netip.ParseAddr(m.HostIP)
		if host.IsValid() && host.IsUnspecified() {
			host = netip.Addr{}
		}
		for _, ip := range ips {
			if m.HostIP == "" || host == (netip.Addr{}) || host.Is6() == ip.Is6() {
				put(udpKey{host, ip.Is6(), uint16(m.HostPort)}, netip.AddrPortFrom(ip, uint16(m.ContainerPort)))
			}
		}
	})
	return all
}

// forgetMoved deletes the connections of UDP whose server is none any more.
// What was before is not known after a restart.
func (n *Network) forgetMoved(before, now pod.NetworkConfig, known bool) error {
	was, is := udpPorts(before), udpPorts(now)
	m := moved{servers: map[udpKey][]netip.AddrPort{}}
	for key, to := range is {
		if had, ok := was[key]; !ok || !slices.Equal(had, to) {
			m.servers[key] = to
		}
	}
	for key := range was {
		if _, ok := is[key]; !ok {
			m.servers[key] = nil
		}
	}
	if !known {
		m.ranges = n.ways.current()
		for key, to := range is {
			m.servers[key] = to
		}
	}
	if len(m.servers)+len(m.ranges) == 0 {
		return nil
	}
	var err error
	if m.local, err = localAddresses(); err != nil {
		return err
	}
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, m); err != nil {
			return fmt.Errorf("forget connections of UDP to servers that are gone: %w", err)
		}
	}
	return nil
}

// MatchConntrackFlow matches a connection to a port whose servers are others
// now, by a server that is none of them.
func (m moved) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	to, ok := netip.AddrFromSlice(f.Forward.DstIP)
	if !ok || f.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	to = to.Unmap()
	servers, moved := m.servers[udpKey{to, to.Is6(), f.Forward.DstPort}]
	if !moved && (m.local[to] || to.IsLoopback()) {
		servers, moved = m.servers[udpKey{netip.Addr{}, to.Is6(), f.Forward.DstPort}]
	}
	if !moved && !within(m.ranges, to) {
		return false
	}
	server, _ := netip.AddrFromSlice(f.Reverse.SrcIP)
	return !slices.Contains(servers, netip.AddrPortFrom(server.Unmap(), f.Reverse.SrcPort))
}

func localAddresses() (map[netip.Addr]bool, error) {
	list, err := retry(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	local := map[netip.Addr]bool{}
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			local[ip.Unmap()] = true
		}
	}
	return local, nil
}
