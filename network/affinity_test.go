package network_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// sticky is a Service whose clients stay with an endpoint.
func sticky(affinity time.Duration, endpoints ...string) pod.Service {
	s := service(endpoints...)
	s.Affinity = affinity
	return s
}

// TestClientsStayWithTheirEndpoint: whatever address of the Service they use,
// through changes of other endpoints, a restart, and a table set anew; not
// when it leaves.
func TestClientsStayWithTheirEndpoint(t *testing.T) {
	l := newLab(t, network.Config{})
	var pods []node
	ips := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		n := l.pod(types.UID(name))
		serve(t, n.path, ":80", name)
		pods, ips[name], ips[name+"6"] = append(pods, n), n.v4, n.v6
	}
	l.offer(pods, sticky(time.Hour, ips["a"], ips["b"], ips["a6"], ips["b6"]))
	type client struct{ path, proto, address string }
	clients := []client{
		{pods[2].path, "tcp", at(cluster4, servicePort)}, {pods[3].path, "tcp", at(cluster6, servicePort)}, {host, "tcp", at(cluster4, servicePort)},
		{l.outside, "tcp", at(host4, nodePort)}, {l.outside, "udp", at(host6, nodePort)}, {pods[2].path, "udp", at(cluster4, servicePort)},
		{host, "tcp", at("127.0.0.1", nodePort)},
	}
	stays := map[client]string{}
	same := func(when string) {
		t.Helper()
		for _, c := range clients {
			got := answers(t, c.path, c.proto, c.address, 12)
			if len(got) != 1 {
				t.Errorf("%s: %v is served by %v", when, c, got)
			}
			for name := range got {
				if was := stays[c]; was != "" && was != name {
					t.Errorf("%s: %v is served by %s, was by %s", when, c, name, was)
				}
				stays[c] = name
			}
		}
	}
	same("at first")
	if got := answers(t, l.outside, "tcp", at(host4, servicePort), 12); got[stays[clients[3]]] != 12 {
		t.Errorf("at the load balancer's address another endpoint serves: %v, at the node port %s", got, stays[clients[3]])
	}
	all := []string{ips["a"], ips["b"], ips["c"], ips["d"], ips["a6"], ips["b6"], ips["c6"], ips["d6"]}
	l.offer(pods, sticky(time.Hour, all...))
	same("with more endpoints")
	l.offer(pods, sticky(2*time.Hour, all...))
	same("with more time")
	l.restart(network.Config{})
	l.offer(pods, sticky(2*time.Hour, all...))
	same("after a restart")
	nft(t, "add table ip other") // which makes the next change look at our table
	l.offer(pods, sticky(3*time.Hour, all...))
	same("after a change by others")
	first := stays[clients[0]]
	var rest []string
	for _, name := range []string{"a", "b", "c", "d"} {
		if name != first {
			rest = append(rest, ips[name], ips[name+"6"])
		}
	}
	l.offer(pods, sticky(2*time.Hour, rest...))
	if got := answers(t, clients[0].path, "tcp", clients[0].address, 12); len(got) != 1 || got[first] > 0 {
		t.Errorf("when its endpoint left, the client is served by %v", got)
	}
	l.offer(pods, service(all...))
	if got := answers(t, clients[0].path, "tcp", clients[0].address, 60); len(got) < 2 {
		t.Errorf("without affinity the client is served by %v alone", got)
	}
}

// TestClientsAreNoChange: that the kernel notes clients is nobody's doing, and
// no reason to set anything but what changes.
func TestClientsAreNoChange(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	l.run()
	l.offer([]node{a}, sticky(time.Hour, a.v4))
	i := 0
	eventually(t, 4*patience, func() error {
		i++
		time.Sleep(100 * time.Millisecond) // Run looks at what was set, before another client comes.
		within(t, l.outside, func() error {
			ip := fmt.Sprintf("192.0.2.%d", 10+i)
			run(t, "ip", "addr", "add", ip+"/24", "dev", "eth0")
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
			c, err := d.Dial("tcp", at(host4, nodePort))
			if err != nil {
				return err
			}
			return c.Close()
		})
		nft(t, fmt.Sprintf("add table ip other%d", i)) // which makes us look at ours
		before := tables(t)
		c := with([]node{a}, sticky(time.Hour, a.v4))
		c.Pods[0].Ports = both("", int32(9000+i), 80)
		if err := l.Set(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if after := tables(t); after != before {
			return fmt.Errorf("all was set anew:\n%s\nbefore\n%s", after, before)
		}
		return nil
	})
}

// TestClientsMayGoElsewhereLater: the time counts from the last connection.
func TestClientsMayGoElsewhereLater(t *testing.T) {
	l := newLab(t, network.Config{})
	var pods []node
	var ips []string
	for _, name := range []types.UID{"a", "b", "c", "d", "e", "f", "g", "h"} {
		n := l.pod(name)
		serve(t, n.path, ":80", string(name))
		pods, ips = append(pods, n), append(ips, n.v4)
	}
	l.offer(pods, sticky(2*time.Second, ips...))
	begin := time.Now()
	first := answers(t, l.outside, "tcp", at(host4, nodePort), 1)
	for last := begin; time.Since(begin) < 5*time.Second; time.Sleep(200 * time.Millisecond) {
		got := answers(t, l.outside, "tcp", at(host4, nodePort), 1)
		if gap := time.Since(last); fmt.Sprint(got) != fmt.Sprint(first) && gap < 2*time.Second {
			t.Fatalf("after %s, of which it was idle for %s at most, the client is served by %v instead of %v", time.Since(begin), gap, got, first)
		}
		last = time.Now()
	}
	// Of eight endpoints each draw is another with a probability of 7/8.
	eventually(t, time.Minute, func() error {
		time.Sleep(3 * time.Second)
		if got := answers(t, l.outside, "tcp", at(host4, nodePort), 1); fmt.Sprint(got) == fmt.Sprint(first) {
			return fmt.Errorf("after more than the time the client is still served by %v", got)
		}
		return nil
	})
}
