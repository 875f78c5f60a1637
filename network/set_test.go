package network_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// TestRestart: a podstead that comes again keeps addresses and, until it is
// told otherwise, ports.
func TestRestart(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	l.open(map[node][]pod.PortMapping{a: both("", 8080, 80)})
	before := run(t, "nft", "list", "ruleset")
	l.restart(network.Config{})
	c := l.pod("c")
	if again := l.pod("b"); again != b {
		t.Errorf("pod b is %+v now, was %+v", again, b)
	}
	if again := l.pod("a"); again != a {
		t.Errorf("pod a is %+v now, was %+v", again, a)
	}
	if c.v4 == a.v4 || c.v4 == b.v4 || c.v6 == a.v6 || c.v6 == b.v6 {
		t.Errorf("pod c got %s and %s, which others have", c.v4, c.v6)
	}
	if diff := cmp.Diff(before, run(t, "nft", "list", "ruleset")); diff != "" {
		t.Errorf("rules changed before the first Set:\n%s", diff)
	}
	reaches(t, l.outside, "tcp", at(host4, 8080), "a")
	l.open(map[node][]pod.PortMapping{a: both("", 8081, 80)})
	silent(t, l.outside, "tcp", at(host4, 8080))
	reaches(t, l.outside, "tcp", at(host4, 8081), "a")
	reaches(t, host, "tcp", "127.0.0.1:8081", "a")
}

// TestOpenConnectionsSurvive sets other configurations, a restart's whole one
// included, under connections that go on.
func TestOpenConnectionsSurvive(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	l.open(map[node][]pod.PortMapping{a: both("", 8080, 80)})
	clients := map[string]net.Conn{}
	for from, to := range map[string]string{l.outside: at(host4, 8080), host: "127.0.0.1:8080", b.path: at(host6, 8080)} {
		within(t, from, func() (err error) {
			clients[from], err = net.Dial("tcp", to)
			return err
		})
	}
	speak := func(when string) {
		t.Helper()
		for from, c := range clients {
			if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("who\n")); err != nil {
				t.Fatalf("%s, from %s: %v", when, from, err)
			}
			if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "a ") {
				t.Fatalf("%s, from %s: %q, %v", when, from, line, err)
			}
		}
	}
	speak("at first")
	for i := range 20 {
		l.open(map[node][]pod.PortMapping{a: both("", 8080, 80), b: both("", int32(9000+i), 80)})
		speak("after a change")
	}
	l.restart(network.Config{})
	l.open(map[node][]pod.PortMapping{a: both("", 8080, 80)})
	speak("after a restart")
}

// TestUDPFollowsItsPort: a client that keeps sending from one socket reaches
// the pod that has the port now.
func TestUDPFollowsItsPort(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	serve(t, b.path, ":80", "b")
	var c net.Conn
	within(t, l.outside, func() (err error) {
		c, err = net.Dial("udp", at(host4, 5300))
		return err
	})
	defer c.Close()
	hear := func(want string) error {
		if _, err := c.Write([]byte("who")); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		buf := make([]byte, 100)
		k, err := c.Read(buf)
		if err == nil && !strings.HasPrefix(string(buf[:k]), want) {
			err = fmt.Errorf("%q answers, want %s", buf[:k], want)
		}
		return err
	}
	if hear("nobody") == nil {
		t.Error("somebody answers on a closed port")
	}
	for _, n := range []node{a, b} {
		l.open(map[node][]pod.PortMapping{n: both("", 5300, 80)})
		eventually(t, patience, func() error { return hear(string(n.uid)) })
	}
	l.open(nil)
	if err := hear(""); err == nil {
		t.Error("a port that is closed still leads to a pod")
	}
}

func TestSetOfHundredPodsIsQuick(t *testing.T) {
	l := newLab(t, network.Config{})
	var c pod.NetworkConfig
	for i := range 100 {
		c.Pods = append(c.Pods, pod.PodNetwork{
			UID: "x", IPs: []string{fmt.Sprintf("10.117.1.%d", i), fmt.Sprintf("fd5b:3c1e:9a27:117::1:%x", i)},
			Ports: []pod.PortMapping{mapping("TCP", "", int32(8000+i), 80), mapping("UDP", host4, int32(8000+i), 80)},
		})
	}
	start := time.Now()
	if err := l.Set(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(start)
	c.Pods[50].Ports[0].HostPort = 7000
	start = time.Now()
	if err := l.Set(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Logf("whole %s, one change %s", whole, time.Since(start))
	rules := run(t, "nft", "list", "ruleset")
	for _, want := range []string{"tcp . 7000 : 10.117.1.50 . 80", "udp . " + host4 + " . 8099 : 10.117.1.99 . 80"} {
		if !strings.Contains(rules, want) {
			t.Errorf("rules have no %s", want)
		}
	}
	if strings.Contains(rules, "tcp . 8050 ") {
		t.Error("a port that moved is still there")
	}
}

func TestSetLeavesOutWhatItCannotUse(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	serve(t, b.path, ":80", "b")
	c := pod.NetworkConfig{Pods: []pod.PodNetwork{
		{UID: a.uid, IPs: []string{a.v4, a.v6}, Ports: []pod.PortMapping{mapping("TCP", "", 8080, 80), mapping("TCP", "everywhere", 8081, 80)}},
		{UID: b.uid, IPs: []string{b.v4, "none"}, Ports: []pod.PortMapping{mapping("TCP", "", 8080, 80), mapping("TCP", "", 8082, 80)}},
	}}
	err := l.Set(t.Context(), c)
	for _, want := range []string{"everywhere", `"none" is no IP`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Set = %v, want %s named", err, want)
		}
	}
	reaches(t, l.outside, "tcp", at(host4, 8080), "a") // the first that has it
	reaches(t, l.outside, "tcp", at(host4, 8082), "b")
}
