package e2e

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

// foreignTable is what another program keeps in nftables.
const foreignTable = `table inet corp {
	set friends { type ipv4_addr; elements = { 198.51.100.7, 198.51.100.8 }; }
	chain input { type filter hook input priority 10; policy accept; ip saddr @friends accept; tcp dport 4711 drop; }
	chain forward { type filter hook forward priority 10; policy accept; ip daddr 203.0.113.7 counter drop; }
}
table ip nat {
	chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ip daddr 203.0.113.0/24 masquerade; }
}
`

// TestNetworkOutlivesDaemons kills podstead and containerd beside pods with
// open connections, and damages what podstead keeps in the host's network.
func TestNetworkOutlivesDaemons(t *testing.T) {
	const port = 18120
	outside := harness.Outside(t)
	load := exec.CommandContext(t.Context(), "nft", "-f", "-")
	load.Stdin = strings.NewReader(foreignTable)
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("nft", "delete table inet corp; delete table ip nat").Run() })
	foreign := func() string { return nft(t, "list table inet corp") + nft(t, "list table ip nat") }
	before := foreign()
	h := harness.New(t, harness.Options{})
	addResponder(t, h)
	h.Start()
	idle := h.Settled()
	first := runs(h, "steady", answering("steady", hostPorts(port, "")))
	a := placeOf(t, h, first)
	b := placed(t, h, "other", answering("other", ""))
	places := map[string][2]string{
		"outside": {outside, at(host4, port)}, "outside by IPv6": {outside, at(host6, port)},
		"the host by loopback": {theHost, at("127.0.0.1", port)}, "the host": {theHost, at(a.v6, 80)},
		"the other pod": {b.netns, at(a.v4, 80)}, "the other pod by a port of the host": {b.netns, at(host4, port)},
	}
	lines := connections(t, h, places)
	works := func(when string) {
		t.Helper()
		for who, conn := range lines {
			if got, err := askOn(conn, answerWithin); err != nil || !strings.HasPrefix(got, "steady ") {
				t.Errorf("%s: the connection of %s answers %q, %v", when, who, got, err)
			}
		}
		for _, address := range []string{at(host4, port), at(host6, port)} {
			for _, proto := range []string{"tcp", "udp"} {
				if got, err := ask(outside, proto, address, answerWithin); err != nil || !strings.HasPrefix(got, "steady ") {
					t.Errorf("%s: %s %s answers %q, %v", when, proto, address, got, err)
				}
			}
		}
	}
	works("before")

	h.Kill9()
	works("podstead is killed")
	h.Start()
	works("podstead is back")
	h.Stop()
	works("podstead has ended")
	h.SignalContainerd(syscall.SIGKILL)
	works("containerd is killed")
	h.Start()
	works("both are back")
	h.SignalContainerd(syscall.SIGTERM)
	h.WaitReady(waitKernel)
	works("containerd was restarted")
	again := h.WaitRunning("default/steady", waitKernel)
	if now := placeOf(t, h, again); now != a || containerID(again) != containerID(first) || again.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("the pod at %+v is now at %+v: %+v", a, now, again.Status.ContainerStatuses)
	}

	t.Run("rules", func(t *testing.T) { rulesComeBack(t, h.For(t), outside, port) })
	// What comes on an open connection while there are no rules ends it.
	lines = connections(t, h, places)
	works("the rules were deleted")
	t.Run("policy", func(t *testing.T) { policyIsNamed(t, h.For(t)) })
	works("a policy was in the way")
	t.Run("overlap", func(t *testing.T) { overlapIsRefused(t, h.For(t)) })
	works("a route was in the way")

	h.Remove("steady.yaml")
	h.Remove("other.yaml")
	h.WaitGone("default/steady", time.Minute)
	h.WaitGone("default/other", time.Minute)
	h.NoLeaks(idle, time.Minute)
	if after := foreign(); after != before {
		t.Errorf("foreign rules were\n%s\nand are\n%s", before, after)
	}
}

// connections are open ones, each to an address from a place.
func connections(t *testing.T, h *harness.Host, ways map[string][2]string) map[string]net.Conn {
	t.Helper()
	open := map[string]net.Conn{}
	for who, way := range ways {
		reached(h, way[0], "tcp", way[1], "steady")
		conn, err := harness.DialFrom(way[0], "tcp", way[1], answerWithin)
		if err != nil {
			t.Fatalf("connect %s: %v", who, err)
		}
		t.Cleanup(func() { conn.Close() })
		open[who] = conn
	}
	return open
}

// rulesComeBack: each time, and at least once within a second however busy the
// machine of the test is.
func rulesComeBack(t *testing.T, h *harness.Host, outside string, port int) {
	table := ""
	for line := range strings.Lines(nft(t, "list tables")) {
		if strings.HasPrefix(line, "table inet podstead") {
			table = strings.TrimSpace(line)
		}
	}
	whole := nft(t, "-s list "+table)
	quickest := time.Hour
	for range 5 {
		nft(t, "delete "+table)
		start := time.Now()
		h.Eventually(waitKernel, func() error {
			out, err := exec.CommandContext(t.Context(), "nft", strings.Fields("-s list "+table)...).CombinedOutput()
			if err == nil && string(out) != whole {
				err = errors.New("it is not whole")
			}
			return err
		})
		quickest = min(quickest, time.Since(start))
		reached(h, outside, "tcp", at(host4, port), "steady")
	}
	if quickest > time.Second {
		t.Errorf("deleted rules are back after %s at best, want a second", quickest)
	}
	h.Eventually(waitKernel, func() error {
		out, err := h.CLI("events", "-A")
		if err == nil && !strings.Contains(out, "NetworkChanged") {
			err = fmt.Errorf("no event of it in:\n%s", out)
		}
		return err
	})
}

// policyIsNamed puts a policy that drops in the way, as Docker does, which
// status has to name with its remedy.
func policyIsNamed(t *testing.T, h *harness.Host) {
	nft(t, "add table ip filter")
	gone := false
	drop := func() {
		if !gone {
			gone = true
			nft(t, "delete table ip filter")
		}
	}
	defer drop()
	nft(t, "add chain ip filter DOCKER-USER")
	nft(t, "add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }")
	nft(t, "add rule ip filter FORWARD jump DOCKER-USER")
	says := func(wanted bool, words ...string) {
		t.Helper()
		h.Eventually(waitKernel, func() error {
			out, err := h.CLI("status")
			for _, w := range words {
				if err == nil && strings.Contains(out, w) != wanted {
					err = fmt.Errorf("status contains %q: %v, want %v:\n%s", w, !wanted, wanted, out)
				}
			}
			return err
		})
	}
	says(true, "FORWARD", "ip filter", "iptables -I DOCKER-USER -s "+h.PodCIDRs[0]+" -j ACCEPT",
		"keeps others from ports of this server that lead to pods: 18120/TCP, 18120/UDP")
	drop()
	says(false, "DOCKER-USER")
}

// overlapIsRefused: who wants an address waits, by name; all else goes on.
func overlapIsRefused(t *testing.T, h *harness.Host) {
	within := strings.Replace(h.PodCIDRs[0], ".0/24", ".128/25", 1)
	harness.IP(t, theHost, "route add "+within+" via "+outside4)
	gone := false
	remove := func() {
		if !gone {
			gone = true
			harness.IP(t, theHost, "route del "+within)
		}
	}
	defer remove()
	h.Write("late.yaml", answering("late", ""))
	h.WaitPod("default/late", waitKernel, func(p corev1.Pod) error {
		text := fmt.Sprintf("%s %+v", p.Status.Message, p.Status.ContainerStatuses)
		for _, want := range []string{h.PodCIDRs[0], within, "up0"} {
			if p.Status.Phase != corev1.PodPending || !strings.Contains(text, want) {
				return fmt.Errorf("phase %s, %s, want it pending and %q", p.Status.Phase, text, want)
			}
		}
		return nil
	})
	host := strings.Replace(answering("onhost", ""), "  containers:", "  hostNetwork: true\n  containers:", 1)
	host = strings.NewReplacer("':80'", "'127.0.0.1:18121'", "':8080'", "'127.0.0.1:18122'", "':9000'", "'127.0.0.1:18123'").Replace(host)
	runs(h, "onhost", host)
	reached(h, theHost, "tcp", at("127.0.0.1", 18121), "onhost")
	remove()
	placeOf(t, h, h.WaitRunning("default/late", time.Minute))
	for _, name := range []string{"late", "onhost"} {
		h.Remove(name + ".yaml")
		h.WaitGone("default/"+name, time.Minute)
	}
}
