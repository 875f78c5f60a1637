package network_test

import (
	"errors"
	"net"
	"net/netip"
	"slices"
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

// TestNobodyHasToAnswerForTheGateway: pods work on a host that answers
// neither ARP nor neighbour discovery, as some firewalls have it.
func TestNobodyHasToAnswerForTheGateway(t *testing.T) {
	l := newLab(t, network.Config{})
	nft(t, "table inet strict {\nchain in {\ntype filter hook input priority 0\nmeta l4proto ipv6-icmp drop\n}\n}\ntable arp strict {\nchain in {\ntype filter hook input priority 0\npolicy drop\n}\n}")
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	reaches(t, b.path, "tcp", at(a.v4, 80), "a")
	reaches(t, b.path, "tcp", at(a.v6, 80), "a")
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

// TestHostLoopbackIsOutOfReach: nothing that a pod or the outside sends to
// 127.0.0.1 arrives, neither at the host's own services nor at pods whose
// ports answer there. An answer could be lost on its way back, so what counts
// is what arrives.
func TestHostLoopbackIsOutOfReach(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	got := make(chan string, 100)
	record(t, host, "127.0.0.1:9100", got)
	record(t, a.path, ":80", got)
	record(t, b.path, ":80", got)
	l.open(map[node][]pod.PortMapping{a: both("", 8080, 80), b: both("127.0.0.1", 8081, 80)})
	within(t, a.path, func() error { return loopbackThroughGateway(t, "169.254.1.1") })
	within(t, l.outside, func() error { return loopbackThroughGateway(t, host4) })
	for _, port := range []int{9100, 8080, 8081} {
		send(t, a.path, "", at("127.0.0.1", port), "pod")
		send(t, l.outside, "", at("127.0.0.1", port), "outside")
	}
	send(t, a.path, "", at(b.v4, 80), "good 1")
	send(t, l.outside, "", at(host4, 8080), "good 2")
	send(t, host, "", "127.0.0.1:9100", "good 3")
	send(t, host, "", "127.0.0.1:8081", "good 4")
	onlyArrives(t, got, "good 1", "good 2", "good 3", "good 4")
}

// loopbackThroughGateway sends what is for 127.0.0.0/8 out of a namespace.
func loopbackThroughGateway(t *testing.T, gateway string) error {
	for _, args := range [][]string{
		{"ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local"},
		{"ip", "route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local"},
		{"ip", "route", "add", "127.0.0.0/8", "via", gateway, "dev", "eth0", "onlink"},
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

// record tells what arrives by UDP.
func record(t *testing.T, path, address string, got chan<- string) {
	t.Helper()
	within(t, path, func() error {
		c, err := net.ListenPacket("udp", address)
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

// send sends by UDP, from an address of the namespace if one is given.
func send(t *testing.T, path, source, target, text string) {
	t.Helper()
	within(t, path, func() error {
		var d net.Dialer
		if source != "" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0))
		}
		c, err := d.Dial("udp", target)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte(text))
		return err
	})
}

// onlyArrives waits for what is to arrive, which was sent last, and fails the
// test for all else.
func onlyArrives(t *testing.T, got <-chan string, texts ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, text := range texts {
		missing[text] = true
	}
	deadline := time.After(patience)
	for len(missing) > 0 {
		select {
		case text := <-got:
			if !slices.Contains(texts, text) {
				t.Errorf("arrived: %s", text)
			}
			delete(missing, text)
		case <-deadline:
			t.Fatalf("never arrived: %v", missing)
		}
	}
	for {
		select {
		case text := <-got:
			t.Errorf("arrived: %s", text)
		case <-time.After(100 * time.Millisecond):
			return
		}
	}
}

// TestSpoofedSourcesAreDropped: a pod with all rights in its namespace sends
// from addresses that are not its own.
func TestSpoofedSourcesAreDropped(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	got := make(chan string, 100)
	for _, path := range []string{b.path, host, l.outside} {
		record(t, path, ":7777", got)
	}
	spoofed := []string{b.v4, "10.117.77.77", host4, "169.254.1.1", outside4, "8.8.8.8", b.v6, "2001:db8::77", host6}
	each := func(verb string, more ...string) {
		within(t, a.path, func() error {
			for _, s := range spoofed {
				run(t, "ip", append([]string{"addr", verb, s, "dev", "eth0"}, more...)...)
			}
			return nil
		})
	}
	targets := []string{b.v4, host4, outside4, b.v6, host6, outside6}
	each("add", "nodad")
	for _, s := range spoofed {
		for _, target := range targets {
			if isV6(s) == isV6(target) && s != target {
				send(t, a.path, s, at(target, 7777), s+" to "+target)
			}
		}
	}
	each("del")
	var good []string
	for _, target := range targets {
		own := a.v4
		if isV6(target) {
			own = a.v6
		}
		send(t, a.path, own, at(target, 7777), own+" to "+target)
		good = append(good, own+" to "+target)
	}
	onlyArrives(t, got, good...)
}

func isV6(ip string) bool { return strings.Contains(ip, ":") }
