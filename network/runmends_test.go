package network_test

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// hostSide is all that the host has of a link.
func hostSide(t *testing.T, link string) string {
	t.Helper()
	var text strings.Builder
	for _, args := range []string{"-o link show dev", "-o addr show dev", "route show dev", "-6 route show dev", "neigh show nud permanent dev"} {
		out, err := exec.Command("ip", append(strings.Fields(args), link)...).CombinedOutput()
		fmt.Fprintf(&text, "%s%v\n", out, err)
	}
	return text.String()
}

// TestRunMendsTheHost takes each thing away that the host has for a pod's
// link: Run puts it back, and tells of it.
func TestRunMendsTheHost(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	l.run()
	works := func() error {
		if got, err := ask(b.path, "tcp", at(a.v4, 80), silence); err != nil || got != "a "+b.v4 {
			return fmt.Errorf("%q, %v", got, err)
		}
		if got, err := ask(b.path, "tcp", at(a.v6, 80), silence); err != nil || got != "a "+b.v6 {
			return fmt.Errorf("%q, %v", got, err)
		}
		return nil
	}
	eventually(t, patience, works)
	link := hostLink(t, "a")
	whole := hostSide(t, link)
	for _, damage := range []string{
		"ip route del " + a.v4 + "/32",
		"ip -6 route del " + a.v6 + "/128",
		"ip link set " + link + " down",
		"ip link set " + link + " down; ip link set " + link + " up",
		"ip link set " + link + " group default",
		"ip link set " + link + " alias other",
		"ip -4 addr flush dev " + link,
		"ip -6 addr del fe80::1/64 dev " + link,
		"echo 0 > /proc/sys/net/ipv4/ip_forward",
		"echo 0 > /proc/sys/net/ipv6/conf/all/forwarding",
	} {
		t.Run(damage, func(t *testing.T) {
			l.forget()
			run(t, "sh", "-c", damage)
			eventually(t, 4*patience, func() error {
				if diff := cmp.Diff(whole, hostSide(t, link)); diff != "" {
					return errors.New(diff)
				}
				return works()
			})
			l.told(t, func(e network.Event) bool { return !e.CutOff && (e.UID == "a" || strings.Contains(damage, "/proc")) })
		})
	}
}

// told waits for an event.
func (l *lab) told(t *testing.T, wanted func(network.Event) bool) network.Event {
	t.Helper()
	for deadline := time.After(4 * patience); ; {
		select {
		case e := <-l.seen:
			if wanted(e) {
				return e
			}
		case <-deadline:
			t.Fatal("it was not told")
		}
	}
}

// forget what was told.
func (l *lab) forget() {
	for len(l.seen) > 0 {
		<-l.seen
	}
}

// TestCutOffIsToldUntilItIsMended: a link that goes again before Run has seen
// that it was made is told again, without any sign from the kernel.
func TestCutOffIsToldUntilItIsMended(t *testing.T) {
	l := newLab(t, network.Config{})
	b := l.pod("b")
	serve(t, b.path, ":80", "b")
	l.open(map[node][]pod.PortMapping{b: both("", 8080, 80)})
	l.run()
	link := hostLink(t, "b")
	run(t, "ip", "link", "del", link)
	cutOff := func(e network.Event) bool { return e.UID == "b" && e.CutOff }
	if e := l.told(t, cutOff); !strings.Contains(e.Message, link) {
		t.Errorf("told %+v, want the link's name", e)
	}
	start := time.Now()
	if e := l.told(t, cutOff); e.Message != "" {
		t.Errorf("told again: %q", e.Message)
	}
	if waited := time.Since(start); waited < time.Second/2 {
		t.Errorf("told again after %s, want a second", waited)
	}
	if again := l.pod("b"); again != b {
		t.Errorf("pod b is %+v after it was made again, was %+v", again, b)
	}
	reaches(t, host, "tcp", "127.0.0.1:8080", "b")
}

// TestALinkThatGoesUnseen: a pod whose link went while podstead was down keeps
// its addresses, and Run tells of it.
func TestALinkThatGoesUnseen(t *testing.T) {
	for _, damage := range []string{"ip link del LINK", "ip route flush dev LINK; ip -6 route flush dev LINK", "ip link set LINK down; ip link set LINK name foreign0"} {
		t.Run(damage, func(t *testing.T) {
			l := newLab(t, network.Config{})
			a, b := l.pod("a"), l.pod("b")
			run(t, "sh", "-c", strings.ReplaceAll(damage, "LINK", hostLink(t, "b")))
			l.restart(network.Config{})
			if c := l.pod("c"); c.v4 == b.v4 || c.v6 == b.v6 {
				t.Errorf("pod c is %+v, and b is still %+v", c, b)
			}
			l.run()
			e := l.told(t, func(e network.Event) bool { return e.UID == "b" })
			if wanted := !strings.Contains(damage, "route"); e.CutOff != wanted {
				t.Errorf("told %+v, want cut off: %v", e, wanted)
			}
			if again := l.pod("b"); again != b {
				t.Errorf("pod b is %+v, was %+v", again, b)
			}
			serve(t, a.path, ":80", "a")
			reaches(t, b.path, "tcp", at(a.v4, 80), "a")
			reaches(t, b.path, "tcp", at(a.v6, 80), "a")
		})
	}
}

// TestRemovedPodFreesItsAddresses although its link went before.
func TestRemovedPodFreesItsAddresses(t *testing.T) {
	c := ranges("10.117.9.0/30", "fd5b::9:0/125")
	l := newLab(t, c)
	one, two := l.pod("one"), l.pod("two")
	run(t, "ip", "link", "del", hostLink(t, "one"))
	l.restart(c)
	if err := l.Remove(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	l.restart(c)
	if three := l.pod("three"); three.v4 != one.v4 {
		t.Errorf("pod three is %+v, want the only free IPv4 address: %s (%s is used)", three, one.v4, two.v4)
	}
}

// TestLinkLocalSourcesAreForNeighborsOnly: nothing but ICMPv6 comes out of a
// pod from such an address.
func TestLinkLocalSourcesAreForNeighborsOnly(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	server, err := net.ListenPacket("udp6", "[::]:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	within(t, a.path, func() error {
		run(t, "ip", "addr", "add", "fe80::7/64", "dev", "eth0", "nodad")
		for _, from := range []string{"[fe80::7%eth0]:0", "[" + a.v6 + "]:0"} {
			local, err := net.ResolveUDPAddr("udp6", from)
			if err != nil {
				return err
			}
			to := &net.UDPAddr{IP: net.ParseIP(host6), Port: 7000}
			if strings.Contains(from, "%") {
				to = &net.UDPAddr{IP: net.ParseIP("fe80::1"), Port: 7000, Zone: "eth0"}
			}
			c, err := net.DialUDP("udp6", local, to)
			if err != nil {
				return err
			}
			_, err = c.Write([]byte(from))
			if err := errors.Join(err, c.Close()); err != nil {
				return err
			}
		}
		return nil
	})
	if err := server.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, from, err := server.ReadFrom(buf)
	if err != nil || strings.Contains(string(buf[:n]), "fe80") {
		t.Errorf("the first that came is %q from %v, %v, want that from the pod's own address", buf[:n], from, err)
	}
}

// TestWarningsFollowTheHost: what is no longer so is no longer said.
func TestWarningsFollowTheHost(t *testing.T) {
	l := newLab(t, network.Config{})
	l.pod("a")
	l.run()
	for _, tc := range []struct{ do, undo, want string }{
		{"ip route add 10.117.40.0/24 dev up0", "ip route del 10.117.40.0/24", "10.117.40.0/24"},
		{"ip addr add 10.117.3.3/32 dev lo", "ip addr del 10.117.3.3/32 dev lo", "10.117.3.3/32"},
		{"echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", "echo 0 > /proc/sys/net/ipv6/conf/all/disable_ipv6", "IPv6 is switched off"},
	} {
		for i, command := range []string{tc.do, tc.undo} {
			run(t, "sh", "-c", command)
			eventually(t, 6*patience, func() error {
				if got := strings.Join(l.Warnings(), "\n"); strings.Contains(got, tc.want) != (i == 0) {
					return fmt.Errorf("after %q: warnings %q", command, got)
				}
				return nil
			})
		}
	}
	l.pod("a")
}
