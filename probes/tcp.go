package probes

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
)

// dial connects to a container. The kernel chooses the local port for this
// connection alone: one that is bound before (as net.Dialer.DialTCP does) is
// taken for all servers until the connection is forgotten.
func dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1, Control: confirmLate}
	return d.DialContext(ctx, "tcp", address)
}

// confirmLate lets what is sent first, or the end, confirm the connection to
// the server (TCP_QUICKACK, tcp(7)): one packet and one wake-up of the
// container less. Where that can't be had, nothing is lost.
func confirmLate(_, _ string, socket syscall.RawConn) error {
	return socket.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
	})
}

func tcpTrial(a *corev1.TCPSocketAction, t *pod.ProbeTarget) trial {
	address, err := address(a.Host, a.Port, t.Spec, t.Host)
	what := "TCP connect to " + address
	if err != nil {
		return failing("TCP connect", err)
	}
	return trial{what: what, try: func(ctx context.Context) (string, error) {
		conn, err := dial(ctx, address)
		if err != nil {
			return "", err
		}
		_ = conn.Close() // that it could be made is all that counts
		return "connected", nil
	}}
}

// address is where a handler connects to: the host that it names, or else the
// pod's, and a port by its number or its name.
func address(named string, port intstr.IntOrString, spec *corev1.Container, host string) (string, error) {
	number, err := portNumber(port, spec)
	if err != nil {
		return "", err
	}
	if named != "" {
		host = named
	}
	return net.JoinHostPort(host, strconv.Itoa(number)), nil
}

func portNumber(port intstr.IntOrString, spec *corev1.Container) (int, error) {
	number := port.IntValue()
	if port.Type == intstr.String {
		for _, p := range spec.Ports {
			if p.Name == port.StrVal {
				number = int(p.ContainerPort)
			}
		}
		if number == 0 {
			return 0, fmt.Errorf("port %q is not among the ports of container %q", port.StrVal, spec.Name)
		}
	}
	if number < 1 || number > 65535 {
		return 0, fmt.Errorf("port %d is out of range, want 1 to 65535", number)
	}
	return number, nil
}
