package network_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

func mapping(proto corev1.Protocol, hostIP string, hostPort, containerPort int32) pod.PortMapping {
	return pod.PortMapping{Protocol: proto, HostIP: hostIP, HostPort: hostPort, ContainerPort: containerPort}
}

func both(hostIP string, hostPort, containerPort int32) []pod.PortMapping {
	return []pod.PortMapping{
		mapping(corev1.ProtocolTCP, hostIP, hostPort, containerPort),
		mapping(corev1.ProtocolUDP, hostIP, hostPort, containerPort),
	}
}

// TestReachability is the table of docs/networking.md: from where a port of a
// pod and a port of the host that leads to it answer.
func TestReachability(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	serve(t, b.path, ":80", "b")
	serve(t, l.outside, ":53", "outside")
	l.open(map[node][]pod.PortMapping{a: both("", 8080, 80), b: nil})
	for _, proto := range []string{"tcp", "udp"} {
		for _, tc := range []struct {
			what, from, to, server string
			seen                   []string // what the server may see as its client
		}{
			{"pod to pod", b.path, at(a.v4, 80), "a", []string{b.v4}},
			{"pod to pod, IPv6", b.path, at(a.v6, 80), "a", []string{b.v6}},
			{"pod to itself", a.path, at(a.v4, 80), "a", []string{a.v4}},
			{"host to pod", host, at(a.v4, 80), "a", []string{"169.254.1.1"}},
			{"host to pod, IPv6", host, at(a.v6, 80), "a", []string{host6, "fe80::1"}},
			{"outside to a port of the host", l.outside, at(host4, 8080), "a", []string{outside4}},
			{"outside to a port of the host, IPv6", l.outside, at(host6, 8080), "a", []string{outside6}},
			{"host to its own port", host, at(host4, 8080), "a", []string{host4}},
			{"host to its own port, IPv6", host, at(host6, 8080), "a", []string{host6}},
			{"host to 127.0.0.1", host, at("127.0.0.1", 8080), "a", []string{"169.254.1.1"}},
			{"host to another loopback address", host, at("127.1.2.3", 8080), "a", []string{"169.254.1.1"}},
			{"other pod to a port of the host", b.path, at(host4, 8080), "a", []string{b.v4}},
			{"other pod to a port of the host, IPv6", b.path, at(host6, 8080), "a", []string{b.v6}},
			{"other pod to a port of its gateway", b.path, at("169.254.1.1", 8080), "a", []string{b.v4}},
			{"pod to its own port of the host", a.path, at(host4, 8080), "a", []string{"169.254.1.1"}},
			{"pod to its own port of the host, IPv6", a.path, at(host6, 8080), "a", []string{"fe80::1"}},
			{"pod to outside", a.path, at(outside4, 53), "outside", []string{host4}},
			{"pod to outside, IPv6", a.path, at(outside6, 53), "outside", []string{host6}},
		} {
			t.Run(proto+" "+tc.what, func(t *testing.T) {
				from := reaches(t, tc.from, proto, tc.to, tc.server)
				for _, s := range tc.seen {
					if from == s {
						return
					}
				}
				t.Errorf("the server saw %s, want one of %q", from, tc.seen)
			})
		}
	}
}

// TestLoopback6IsRefused: clients that try ::1 first must fall back at once.
func TestLoopback6IsRefused(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	l.open(map[node][]pod.PortMapping{a: both("", 8080, 80)})
	for _, proto := range []string{"tcp", "udp"} {
		start := time.Now()
		_, err := ask(host, proto, "[::1]:8080", patience)
		if took := time.Since(start); !errors.Is(err, syscall.ECONNREFUSED) || took > time.Second {
			t.Errorf("%s: %v after %s, want connection refused within a second", proto, err, took)
		}
	}
}

func TestHostIP(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	serve(t, b.path, ":80", "b")
	l.open(map[node][]pod.PortMapping{
		a: append(both(host4, 8080, 80), both("127.0.0.1", 8081, 80)...),
		b: append(append(both("127.0.0.1", 8080, 80), both("0.0.0.0", 8082, 80)...), both(host6, 8080, 80)...),
	})
	for _, proto := range []string{"tcp", "udp"} {
		reaches(t, l.outside, proto, at(host4, 8080), "a")
		reaches(t, l.outside, proto, at(host6, 8080), "b")
		reaches(t, host, proto, "127.0.0.1:8080", "b")
		reaches(t, host, proto, "127.0.0.1:8081", "a")
		reaches(t, l.outside, proto, at(host4, 8082), "b")
		silent(t, l.outside, proto, at(host4, 8081))
		silent(t, l.outside, proto, at(host6, 8081))
		silent(t, l.outside, proto, at(host6, 8082))
	}
}

// TestHostLoopbackIsOutOfReach: a pod, and the outside, reach nothing at
// 127.0.0.1 of the host, though ports of the host answer there.
func TestHostLoopbackIsOutOfReach(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, host, "127.0.0.1:9100", "secret")
	serve(t, host, "[::1]:9100", "secret")
	serve(t, a.path, ":80", "a")
	l.open(map[node][]pod.PortMapping{a: both("", 8080, 80), b: both("127.0.0.1", 8081, 80)})
	reaches(t, host, "tcp", "127.0.0.1:9100", "secret")
	reaches(t, host, "tcp", "127.0.0.1:8080", "a")
	within(t, a.path, func() error { return loopbackThroughGateway(t, "169.254.1.1", "eth0") })
	within(t, l.outside, func() error { return loopbackThroughGateway(t, host4, "eth0") })
	for _, proto := range []string{"tcp", "udp"} {
		silent(t, a.path, proto, "127.0.0.1:9100")
		silent(t, a.path, proto, "127.0.0.1:8081")
		silent(t, l.outside, proto, "127.0.0.1:8081")
		silent(t, l.outside, proto, "127.0.0.1:8080")
	}
}

// loopbackThroughGateway sends what is for 127.0.0.0/8 out of a namespace.
func loopbackThroughGateway(t *testing.T, gateway, link string) error {
	for _, args := range [][]string{
		{"ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local"},
		{"ip", "route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local"},
		{"ip", "route", "add", "127.0.0.0/8", "via", gateway, "dev", link, "onlink"},
		{"sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"},
	} {
		run(t, args[0], args[1:]...)
	}
	return nil
}

func TestMetadataServiceIsOutOfReach(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		l := newLab(t, network.Config{AllowMetadata: allowed})
		a := l.pod("a")
		within(t, l.outside, func() error {
			run(t, "ip", "addr", "add", "169.254.169.254/32", "dev", "eth0")
			return nil
		})
		run(t, "ip", "route", "add", "169.254.169.254/32", "dev", "up0")
		serve(t, l.outside, "169.254.169.254:80", "metadata")
		reaches(t, host, "tcp", "169.254.169.254:80", "metadata")
		if allowed {
			reaches(t, a.path, "tcp", "169.254.169.254:80", "metadata")
		} else {
			silent(t, a.path, "tcp", "169.254.169.254:80")
		}
		run(t, "ip", "link", "del", "up0")
	}
}

// TestSpoofedSourcesAreDropped: a pod with all rights in its namespace sends
// from addresses that are not its own.
func TestSpoofedSourcesAreDropped(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	got := make(chan string, 100)
	for _, path := range []string{b.path, host, l.outside} {
		within(t, path, func() error {
			c, err := net.ListenPacket("udp", ":7777")
			if err != nil {
				return err
			}
			t.Cleanup(func() { _ = c.Close() })
			go func() {
				buf := make([]byte, 100)
				for {
					k, _, err := c.ReadFrom(buf)
					if err != nil {
						return
					}
					got <- string(buf[:k])
				}
			}()
			return nil
		})
	}
	spoofed := []string{b.v4, "10.117.77.77", host4, "169.254.1.1", outside4, "8.8.8.8", b.v6, "2001:db8::77", host6}
	send := func(source, target string) {
		within(t, a.path, func() error {
			d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0))}
			c, err := d.Dial("udp", at(target, 7777))
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte(source + " to " + target))
			return err
		})
	}
	within(t, a.path, func() error {
		for _, s := range spoofed {
			run(t, "ip", "addr", "add", s, "dev", "eth0", "nodad")
		}
		return nil
	})
	for _, s := range spoofed {
		for _, target := range []string{b.v4, host4, outside4, b.v6, host6, outside6} {
			if isV6(s) == isV6(target) && s != target {
				send(s, target)
			}
		}
	}
	// What is allowed is sent after what is not, on the same way.
	within(t, a.path, func() error {
		for _, s := range spoofed {
			run(t, "ip", "addr", "del", s, "dev", "eth0")
		}
		return nil
	})
	allowed := map[string]bool{}
	for _, target := range []string{b.v4, host4, outside4} {
		send(a.v4, target)
		allowed[a.v4+" to "+target] = true
	}
	for _, target := range []string{b.v6, host6, outside6} {
		send(a.v6, target)
		allowed[a.v6+" to "+target] = true
	}
	deadline := time.After(patience)
	for len(allowed) > 0 {
		select {
		case line := <-got:
			if !allowed[line] {
				t.Errorf("arrived: %s", line)
			}
			delete(allowed, line)
		case <-deadline:
			t.Fatalf("never arrived: %v", allowed)
		}
	}
}

func isV6(ip string) bool { return strings.Contains(ip, ":") }
