package plan

import (
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
	for _, hp := range pod.HostPorts(&p.Spec) {
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
		if h.key != asker && hp.Clashes(pod.HostPort{IP: h.ip, Port: hp.Port, Protocol: hp.Protocol}) {
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
