package pod

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// HostPort is a port of the host that something listens on, or that a pod
// takes.
type HostPort struct {
	// IP is the address; empty for all addresses.
	IP       string
	Port     int32
	Protocol corev1.Protocol
}

// String is the port as people read it: 80/TCP or 192.0.2.1:80/TCP.
func (p HostPort) String() string {
	if ip, err := netip.ParseAddr(p.IP); err == nil {
		return fmt.Sprintf("%s/%s", netip.AddrPortFrom(ip, uint16(p.Port)), p.Protocol)
	}
	return fmt.Sprintf("%d/%s", p.Port, p.Protocol)
}

// Clashes tells whether two can't be had at once. A port on all addresses is
// in the way of that port on any address.
func (p HostPort) Clashes(other HostPort) bool {
	return p.Port == other.Port && p.Protocol == other.Protocol && (p.IP == other.IP || p.IP == "" || other.IP == "")
}

// HostPorts lists the ports of the host that a pod takes.
func HostPorts(spec *corev1.PodSpec) []HostPort {
	var ports []HostPort
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			for _, port := range list[i].Ports {
				if port.HostPort != 0 {
					ports = append(ports, HostPort{IP: canonicalIP(port.HostIP), Port: port.HostPort, Protocol: port.Protocol})
				}
			}
		}
	}
	return ports
}

// canonicalIP writes an address in the one way in which equal ones are the
// same, and those that stand for all addresses, of either family, as "".
func canonicalIP(text string) string {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	if ip.IsUnspecified() {
		return ""
	}
	return ip.Unmap().String()
}
