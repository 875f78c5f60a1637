package network_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/network"
)

// TestEndpointsGetEqualShares: with 800 connections to four endpoints, each
// gets 200, give or take 12; the bounds are five times as wide.
func TestEndpointsGetEqualShares(t *testing.T) {
	l := newLab(t, network.Config{})
	var pods []node
	var ips []string
	for _, name := range []types.UID{"a", "b", "c", "d"} {
		n := l.pod(name)
		serve(t, n.path, ":80", string(name))
		pods, ips = append(pods, n), append(ips, n.v4, n.v6)
	}
	l.offer(pods, service(ips...))
	for what, to := range map[string][2]string{
		"cluster IP": {pods[0].path, at(cluster4, servicePort)}, "node port, IPv6": {l.outside, at(host6, nodePort)},
	} {
		for _, proto := range []string{"tcp", "udp"} {
			got := answers(t, to[0], proto, to[1], 800)
			for _, n := range pods {
				if k := got[string(n.uid)]; k < 140 || k > 260 {
					t.Errorf("%s %s: shares are %v, want 200 each", proto, what, got)
					break
				}
			}
		}
	}
}

// answers counts which pod answers how often.
func answers(t *testing.T, path, proto, address string, times int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range times {
		line, err := ask(path, proto, address, patience)
		if err != nil {
			t.Fatalf("%s %s: %v", proto, address, err)
		}
		name, _, _ := strings.Cut(line, " ")
		got[name]++
	}
	return got
}

// line is a connection that goes on.
type line struct {
	*testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, path, proto, address string) *line {
	t.Helper()
	l := &line{T: t}
	within(t, path, func() (err error) {
		l.Conn, err = net.DialTimeout(proto, address, patience)
		return err
	})
	t.Cleanup(func() { _ = l.Close() })
	l.in = bufio.NewReader(l.Conn)
	return l
}

// speak sends a line and returns the name of the pod that answers.
func (l *line) speak() (string, error) {
	if err := l.SetDeadline(time.Now().Add(silence)); err != nil {
		return "", err
	}
	if _, err := l.Write([]byte("who\n")); err != nil {
		return "", err
	}
	text, err := l.in.ReadString('\n')
	name, _, _ := strings.Cut(text, " ")
	return name, err
}

// TestConnectionsOfAnEndpointThatLeaves: new ones avoid it at once, those of
// TCP go on, and those of UDP go to another.
func TestConnectionsOfAnEndpointThatLeaves(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	serve(t, b.path, ":80", "b")
	pods := []node{a, b}
	for _, restart := range []bool{false, true} {
		l.offer(pods, service(a.v4, a.v6))
		lines := map[string]*line{}
		for what, to := range map[string][2]string{
			"cluster IP": {b.path, at(cluster4, servicePort)}, "cluster IP, IPv6": {b.path, at(cluster6, servicePort)},
			"node port": {l.outside, at(host4, nodePort)}, "node port, IPv6": {l.outside, at(host6, nodePort)},
			"load balancer": {l.outside, at(host4, servicePort)}, "loopback": {host, at("127.0.0.1", nodePort)},
			"host": {host, at(cluster4, servicePort)},
		} {
			for _, proto := range []string{"tcp", "udp"} {
				c := dial(t, to[0], proto, to[1])
				if name, err := c.speak(); name != "a" {
					t.Fatalf("%s %s: %q answers, %v", proto, what, name, err)
				}
				lines[proto+" "+what] = c
			}
		}
		if restart {
			l.restart(network.Config{})
		}
		l.offer(pods, service(b.v4, b.v6))
		for what, c := range lines {
			want := "a"
			if strings.HasPrefix(what, "udp") {
				want = "b"
			}
			if name, err := c.speak(); name != want {
				t.Errorf("restart %v: %s: %q answers, %v, want %s", restart, what, name, err, want)
			}
		}
		if got := answers(t, l.outside, "tcp", at(host4, nodePort), 20); got["b"] != 20 {
			t.Errorf("restart %v: new connections went to %v", restart, got)
		}
		l.offer(pods, service())
		for what, c := range lines {
			name, err := c.speak()
			if strings.HasPrefix(what, "udp") && err == nil || strings.HasPrefix(what, "tcp") && name != "a" {
				t.Errorf("restart %v, without endpoints: %s: %q answers, %v", restart, what, name, err)
			}
		}
	}
}

// TestUDPForgetsAServiceThatWent: also one that went while there was no
// podstead.
func TestUDPForgetsAServiceThatWent(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	for _, restart := range []bool{false, true} {
		l.offer([]node{a, b}, service(a.v4, a.v6))
		c := dial(t, b.path, "udp", at(cluster4, servicePort))
		if name, err := c.speak(); name != "a" {
			t.Fatalf("%q answers, %v", name, err)
		}
		if restart {
			l.restart(network.Config{})
		}
		l.offer([]node{a, b})
		if name, err := c.speak(); err == nil {
			t.Errorf("restart %v: %q answers for a Service that is gone", restart, name)
		}
	}
}

// TestUDPFindsItsFirstEndpoint: a client that began before there was any.
func TestUDPFindsItsFirstEndpoint(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	l.offer([]node{a})
	early := []*line{dial(t, l.outside, "udp", at(host4, nodePort)), dial(t, host, "udp", at(host4, nodePort)), dial(t, a.path, "udp", at(cluster4, servicePort))}
	for _, when := range []string{"no Service", "no endpoint"} {
		for _, c := range early {
			if name, err := c.speak(); err == nil {
				t.Errorf("%s: %q answers", when, name)
			}
		}
		l.offer([]node{a}, service())
	}
	l.offer([]node{a}, service(a.v4))
	for _, c := range early {
		// What was refused before may be told now.
		eventually(t, patience, func() error {
			name, err := c.speak()
			if err == nil && name != "a" {
				err = fmt.Errorf("%q answers", name)
			}
			return err
		})
	}
}

// TestEndpointsOutside: addresses that are no pods are reached as well, and
// answer through the host.
func TestEndpointsOutside(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, l.outside, ":80", "outside")
	serve(t, host, at(host4, 80), "host")
	l.offer([]node{a}, service(outside4, outside6))
	for _, proto := range []string{"tcp", "udp"} {
		for _, from := range []string{a.path, host, l.outside} {
			for to, seen := range map[string]string{
				at(cluster4, servicePort): host4, at(cluster6, servicePort): host6,
				at(host4, nodePort): host4, at(host6, nodePort): host6, at(host4, servicePort): host4,
			} {
				if from == l.outside && (strings.HasPrefix(to, cluster4) || strings.HasPrefix(to, "["+cluster6)) {
					continue // it knows no way there
				}
				if got := reaches(t, from, proto, to, "outside"); got != seen {
					t.Errorf("%s %s: the server saw %s, want %s", proto, to, got, seen)
				}
			}
		}
		// Its answers could not come back to the host's loopback.
		refusesAtOnce(t, host, proto, at("127.0.0.1", nodePort))
	}
	l.offer([]node{a}, service(host4)) // a pod on the host's network
	for _, proto := range []string{"tcp", "udp"} {
		for from, to := range map[string]string{a.path: at(cluster4, servicePort), host: at(cluster4, servicePort), l.outside: at(host4, nodePort)} {
			reaches(t, from, proto, to, "host")
		}
		reaches(t, host, proto, at("127.0.0.1", nodePort), "host")
	}
	// Without pods the rules stay for others.
	l.offer([]node{a}, service(outside4, outside6))
	if err := l.Remove(t.Context(), a.uid); err != nil {
		t.Fatal(err)
	}
	reaches(t, host, "tcp", at(cluster6, servicePort), "outside")
	l.offer(nil, service(outside4, outside6))
	reaches(t, host, "tcp", at(cluster6, servicePort), "outside")
	l.offer(nil)
	if rest := run(t, "nft", "list", "tables"); strings.Contains(rest, "podstead") {
		t.Errorf("without pods and Services there is %s", rest)
	}
	if rest := run(t, "ip", "addr", "show", "dev", "lo") + run(t, "ip", "route") + run(t, "ip", "-6", "route", "show", "table", "all"); strings.Contains(rest, "118") {
		t.Errorf("without pods and Services there is %s", rest)
	}
}

// TestOwnAddressesOfPodsReachEndpointsOutside: pods that are not masqueraded.
func TestOwnAddressesOfPodsReachEndpointsOutside(t *testing.T) {
	l := newLab(t, network.Config{NoMasquerade: true})
	a := l.pod("a")
	serve(t, l.outside, ":80", "outside")
	within(t, l.outside, func() error {
		run(t, "ip", "route", "add", "10.117.0.0/16", "via", host4)
		return nil
	})
	l.offer([]node{a}, service(outside4))
	for from, seen := range map[string]string{a.path: a.v4, host: host4} {
		if got := reaches(t, from, "tcp", at(cluster4, servicePort), "outside"); got != seen {
			t.Errorf("the server saw %s, want %s", got, seen)
		}
	}
	if got := reaches(t, l.outside, "tcp", at(host4, nodePort), "outside"); got != host4 {
		t.Errorf("the server saw %s, want %s", got, host4)
	}
}
