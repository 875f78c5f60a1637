package network

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// moved matches connections of UDP to ports of the host whose pod is another
// now. The kernel goes on with where the first packet went, and a client that
// keeps sending would never reach the new pod.
type moved struct {
	// was and is have where each port leads; the zero address is the host.
	was, is map[udpKey]netip.AddrPort
	local   map[netip.Addr]bool
}

type udpKey struct {
	ip   netip.Addr // not valid for all addresses of the host
	six  bool
	port uint16
}

func udpPorts(c pod.NetworkConfig) map[udpKey]netip.AddrPort {
	all := map[udpKey]netip.AddrPort{}
	forEachPort(c, func(ips []netip.Addr, m pod.PortMapping) {
		if m.Protocol != corev1.ProtocolUDP {
			return
		}
		host, _ := netip.ParseAddr(m.HostIP)
		if host.IsValid() && host.IsUnspecified() {
			host = netip.Addr{}
		}
		for _, ip := range ips {
			key := udpKey{host, ip.Is6(), uint16(m.HostPort)}
			if _, taken := all[key]; !taken && (m.HostIP == "" || host == (netip.Addr{}) || host.Is6() == ip.Is6()) {
				all[key] = netip.AddrPortFrom(ip, uint16(m.ContainerPort))
			}
		}
	})
	return all
}

// forgetMoved deletes the connections of UDP ports that lead elsewhere now.
func forgetMoved(before, now pod.NetworkConfig) error {
	m := moved{was: udpPorts(before), is: udpPorts(now)}
	for key, to := range m.was {
		if m.is[key] == to {
			delete(m.was, key)
			delete(m.is, key)
		}
	}
	if len(m.was)+len(m.is) == 0 {
		return nil
	}
	var err error
	if m.local, err = localAddresses(); err != nil {
		return err
	}
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, m); err != nil {
			return fmt.Errorf("forget connections to moved UDP ports: %w", err)
		}
	}
	return nil
}

// MatchConntrackFlow matches a connection to the host, on a port that moved,
// that goes to where the port led before.
func (m moved) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	to, ok := netip.AddrFromSlice(f.Forward.DstIP)
	to = to.Unmap()
	if !ok || f.Forward.Protocol != unix.IPPROTO_UDP || !m.local[to] && !to.IsLoopback() {
		return false
	}
	for _, ip := range []netip.Addr{to, {}} {
		key := udpKey{ip, to.Is6(), f.Forward.DstPort}
		_, was := m.was[key]
		_, is := m.is[key]
		if !was && !is {
			continue
		}
		server, _ := netip.AddrFromSlice(f.Reverse.SrcIP)
		if want, ok := m.is[key]; ok && server.Unmap() == want.Addr() {
			return false
		}
		return true
	}
	return false
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
