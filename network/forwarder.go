package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

const (
	// dialTime is how long a pod may take to accept a connection.
	dialTime = 10 * time.Second
	// takenTime is how soon a port that was taken is tried again.
	takenTime = 5 * time.Second
)

// forwarder serves one port of the host on [::1], which the kernel can't
// translate to a pod.
type forwarder struct {
	listener net.Listener
	target   atomic.Pointer[netip.AddrPort]
}

// forwardLoopback runs a forwarder for each TCP port of the last Set until
// ctx ends. A port that leads elsewhere by a later Set keeps its listener; one
// that is gone takes no more connections, and those that it has go on.
func (n *Network) forwardLoopback(ctx context.Context) error {
	var served sync.WaitGroup
	defer served.Wait()
	running := map[int32]*forwarder{}
	defer func() {
		for _, f := range running {
			_ = f.listener.Close()
		}
	}()
	for {
		config, changed := n.wanted.get()
		wait := anyway
		if err := reconcile(ctx, &served, running, loopbackTargets(config)); err != nil {
			wait = takenTime
			n.cfg.Report(Event{Message: err.Error()})
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// loopbackTargets is where each port on [::1] leads: the pod's IPv6 address,
// or its other one; or a Service.
func loopbackTargets(c pod.NetworkConfig) map[int32]netip.AddrPort {
	targets := map[int32]netip.AddrPort{}
	forEachPort(c, func(ips []netip.Addr, m pod.PortMapping) {
		if _, taken := targets[m.HostPort]; taken || len(ips) == 0 || m.Protocol != corev1.ProtocolTCP || !onLoopback6(m) {
			return
		}
		targets[m.HostPort] = netip.AddrPortFrom(ips[len(ips)-1], uint16(m.ContainerPort))
	})
	for i := range c.Services {
		for _, p := range c.Services[i].Ports {
			if _, taken := targets[p.NodePort]; !taken && p.NodePort != 0 && p.Protocol == corev1.ProtocolTCP {
				targets[p.NodePort] = serviceTarget(&c.Services[i], &p)
			}
		}
	}
	return targets
}

// serviceTarget is a Service's address of a family in which it has endpoints,
// where the kernel shares among them; or else the port on 127.0.0.1.
func serviceTarget(s *pod.Service, p *pod.ServicePort) netip.AddrPort {
	for _, ip := range parse(s.ClusterIPs) {
		if len(endpointsOf(p, ip.Is6())) > 0 {
			return netip.AddrPortFrom(ip, uint16(p.Port))
		}
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(p.NodePort))
}

func reconcile(ctx context.Context, served *sync.WaitGroup, running map[int32]*forwarder, want map[int32]netip.AddrPort) error {
	var errs []error
	for port, f := range running {
		if _, ok := want[port]; !ok {
			_ = f.listener.Close()
			delete(running, port)
		}
	}
	for port, target := range want {
		f := running[port]
		if f == nil {
			l, err := net.ListenTCP("tcp6", &net.TCPAddr{IP: net.IPv6loopback, Port: int(port)})
			if err != nil {
				errs = append(errs, fmt.Errorf("port %d of the host is not served on [::1]: %w; it is tried again", port, err))
				continue
			}
			f = &forwarder{listener: l}
			running[port] = f
			f.target.Store(&target)
			served.Go(func() { f.accept(ctx, served) })
		}
		f.target.Store(&target)
	}
	return errors.Join(errs...)
}

func (f *forwarder) accept(ctx context.Context, served *sync.WaitGroup) {
	for {
		c, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors, say: others may close some.
			select {
			case <-time.After(again):
				continue
			case <-ctx.Done():
				return
			}
		}
		served.Go(func() { f.pass(ctx, c.(*net.TCPConn)) })
	}
}

// pass joins a connection with one to the pod until both directions ended.
func (f *forwarder) pass(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	d := net.Dialer{Timeout: dialTime}
	c, err := d.DialContext(ctx, "tcp", f.target.Load().String())
	if err != nil {
		_ = client.SetLinger(0) // refused, as the pod would have done
		return
	}
	server := c.(*net.TCPConn)
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(client.Close(), server.Close()) })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[1], way[0])
			_ = way[1].CloseWrite()
		})
	}
	both.Wait()
}
