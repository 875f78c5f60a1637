package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// forwarder lets the API connect to the ports of pods.
type forwarder struct{ network *network.Network }

// Dial tries the pod's IPv4 loopback and then that of IPv6, as the kubelet's
// runtimes do: servers on all addresses and on the loopback alone answer.
func (f forwarder) Dial(ctx context.Context, v pod.View, port uint16) (net.Conn, error) {
	four := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	conn, err := f.dial(ctx, v, four)
	if err == nil {
		return conn, nil
	}
	six := netip.AddrPortFrom(netip.IPv6Loopback(), port)
	conn, err6 := f.dial(ctx, v, six)
	if err6 == nil {
		return conn, nil
	}
	return nil, fmt.Errorf("nothing answers on the pod's loopback: IPv4: %w, IPv6: %w", err, err6)
}

func (f forwarder) dial(ctx context.Context, v pod.View, to netip.AddrPort) (net.Conn, error) {
	if v.Pod.Spec.HostNetwork {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", to.String())
	}
	return f.network.Dial(ctx, v.Pod.UID, to)
}
