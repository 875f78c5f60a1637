package plan

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// portNumber is a port of the host on whatever address.
type portNumber struct {
	port     int32
	protocol corev1.Protocol
}

// portHolder is a pod that has a port; ip is empty for all addresses.
type portHolder struct {
	ip  string
	key pod.Key
}

// portTable says who has which ports of the host, in the order in which they
// were given.
type portTable map[portNumber][]portHolder

// add gives a pod its ports.
func (t portTable) add(p *corev1.Pod, key pod.Key) {
	for _, hp := range hostPorts(p) {
		n := portNumber{hp.Port, hp.Protocol}
		t[n] = append(t[n], portHolder{hp.IP, key})
	}
}

// drop takes a pod's ports away from it.
func (t portTable) drop(key pod.Key) {
	for n, holders := range t {
		t[n] = slices.DeleteFunc(holders, func(h portHolder) bool { return h.key == key })
	}
}

// holder returns the first pod other than asker that is in the way of a port.
// A port on all addresses is in the way of that port on any address.
func (t portTable) holder(hp pod.HostPort, asker pod.Key) (pod.Key, bool) {
	for _, h := range t[portNumber{hp.Port, hp.Protocol}] {
		if h.key != asker && (h.ip == hp.IP || h.ip == "" || hp.IP == "") {
			return h.key, true
		}
	}
	return pod.Key{}, false
}

// holders lists who holds the ports of the host now.
func holders(claims []Claim) portTable {
	held := portTable{}
	for _, c := range claims {
		if c.Live != nil {
			held.add(c.Live, c.Key)
		}
	}
	return held
}

// hostPorts lists the ports of the host that a pod takes.
func hostPorts(p *corev1.Pod) []pod.HostPort {
	var ports []pod.HostPort
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			for _, port := range list[i].Ports {
				if port.HostPort != 0 {
					ports = append(ports, pod.HostPort{IP: canonicalIP(port.HostIP), Port: port.HostPort, Protocol: port.Protocol})
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

// portName is a port as people read it: 80/TCP or 192.0.2.1:80/TCP.
func portName(hp pod.HostPort) string {
	if ip, err := netip.ParseAddr(hp.IP); err == nil {
		return fmt.Sprintf("%s/%s", netip.AddrPortFrom(ip, uint16(hp.Port)), hp.Protocol)
	}
	return fmt.Sprintf("%d/%s", hp.Port, hp.Protocol)
}
