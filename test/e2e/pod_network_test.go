package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/test/harness"
)

// networkRow is a behaviour of networks, tried on a host that others use at
// the same time and that has a client outside.
type networkRow struct {
	name string
	try  func(t *testing.T, h *harness.Host, outside string)
}

var networkRows = []networkRow{
	{"HostPortsAnswerFromEverywhere", hostPortsAnswer},
	{"HostIPRestricts", hostIPRestricts},
	{"Threat_ScanOfTheHostFindsNothing", scanFindsNothing},
	{"Threat_SpoofedSourcesAreDropped", spoofedDropped},
	{"APortOfAProcessOfTheHostIsWaitedFor", processHasPort},
	{"AnEditToATakenPortKeepsWhatRuns", editToTakenPort},
	{"Row03_RenamedContainerKeepsItsPort", renamedKeepsPort},
	{"Row04_AnotherNamespaceTakesThePortOver", namespaceTakesPort},
	{"DeletionFreesAddressLinkAndRules", deletionFrees},
	{"PortForwardReachesThePodsLoopback", portForward},
}

// TestPodNetworks tries networks of pods side by side on one host, where
// afterwards nothing may be left of any.
func TestPodNetworks(t *testing.T) {
	outside := harness.Outside(t)
	h := harness.New(t, harness.Options{Config: "metrics: {address: \"" + metricsAddress + "\"}\n"})
	addResponder(t, h)
	h.Start()
	before := h.Settled()
	t.Run("row", func(t *testing.T) {
		for _, r := range networkRows {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				r.try(t, h.For(t), outside)
			})
		}
	})
	manifests, err := filepath.Glob(filepath.Join(h.Manifests, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifests {
		h.Remove(filepath.Base(m))
	}
	h.NoLeaks(before, time.Minute)
}

// hostPortsAnswer is the table of docs/networking.md.
func hostPortsAnswer(t *testing.T, h *harness.Host, outside string) {
	const port = 18100
	a := placed(t, h, "reach-a", answering("reach-a", hostPorts(port, "")))
	b := placed(t, h, "reach-b", answering("reach-b", ""))
	for _, proto := range []string{"tcp", "udp"} {
		for _, tc := range []struct {
			from, to, name string
			seen           []string // what the pod may see as its client
		}{
			{b.netns, at(a.v4, 80), "reach-a", []string{b.v4}},
			{b.netns, at(a.v6, 80), "reach-a", []string{b.v6}},
			{a.netns, at(b.v4, 80), "reach-b", []string{a.v4}},
			{theHost, at(a.v4, 80), "reach-a", []string{"169.254.1.1"}},
			{theHost, at(a.v6, 80), "reach-a", []string{host6}},
			{theHost, at(host4, port), "reach-a", []string{host4}},
			{theHost, at(host6, port), "reach-a", []string{host6}},
			{theHost, at("127.0.0.1", port), "reach-a", []string{"169.254.1.1"}},
			{outside, at(host4, port), "reach-a", []string{outside4}},
			{outside, at(host6, port), "reach-a", []string{outside6}},
			{b.netns, at(host4, port), "reach-a", []string{b.v4}},
			{b.netns, at(host6, port), "reach-a", []string{b.v6}},
			{a.netns, at(host4, port), "reach-a", []string{"169.254.1.1"}},
			{a.netns, at(host6, port), "reach-a", []string{"fe80::1"}},
		} {
			if seen := reached(h, tc.from, proto, tc.to, tc.name); !slices.Contains(tc.seen, seen) {
				t.Errorf("%s %s: the pod saw %s, want one of %q", proto, tc.to, seen, tc.seen)
			}
		}
		start := time.Now()
		_, err := ask(theHost, proto, at("::1", port), answerWithin)
		if took := time.Since(start); !errors.Is(err, syscall.ECONNREFUSED) || took > time.Second {
			t.Errorf("%s [::1]: %v after %s, want it refused within a second", proto, err, took)
		}
	}
}

func hostIPRestricts(t *testing.T, h *harness.Host, outside string) {
	const own, loopback = 18101, 18102
	runs(h, "bound", answering("bound", hostPorts(own, host4)))
	runs(h, "bound-loopback", answering("bound-loopback", hostPorts(loopback, "127.0.0.1")))
	for _, proto := range []string{"tcp", "udp"} {
		reached(h, outside, proto, at(host4, own), "bound")
		unheard(t, outside, proto, at(host6, own))
		unheard(t, theHost, proto, at("127.0.0.1", own))
		reached(h, theHost, proto, at("127.0.0.1", loopback), "bound-loopback")
		unheard(t, outside, proto, at(host4, loopback))
		unheard(t, theHost, proto, at(host4, loopback))
	}
}

// scanFindsNothing scans from a pod with all rights the addresses of the host
// that it can think of: of what listens on the host only what listens on all
// addresses may be found.
func scanFindsNothing(t *testing.T, h *harness.Host, _ string) {
	const open, hidden, hidden6, ours = 19100, 19101, 19102, "19255"
	for _, address := range []string{fmt.Sprintf(":%d", open), at("127.0.0.1", hidden), at("::1", hidden6)} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	// It runs as a command inside of the container, as an intruder would.
	p := runs(h, "scanner", answering("scanner", "securityContext: {privileged: true}\n"))
	placeOf(t, h, p)
	hosts := []string{"169.254.1.1", host4, host6, "fe80::1%eth0"}
	out, err := h.CLI("exec", "scanner", "--", "/responder", "-scan", strings.Join(hosts, ","), "-scan-to", "10000",
		"-scan-also", fmt.Sprintf("%d,%d,%d,%s", open, hidden, hidden6, ours))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, host := range hosts {
		want = append(want, net.JoinHostPort(host, fmt.Sprint(open)))
	}
	want = append(want, "tried 40016")
	got := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("a scan from a pod finds %q, want %q", got, want)
	}
	// And whoever leads 127.0.0.0/8 out of its namespace arrives nowhere, even
	// where ports of the host have the kernel let it in.
	loop := placed(t, h, "loopback", answering("loopback", hostPorts(18103, "")))
	if err := nspin.Inside(nspin.Net, loop.netns, func() error {
		return os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0)
	}); err != nil {
		t.Fatal(err)
	}
	harness.IP(t, loop.netns, "route del local 127.0.0.0/8 dev lo table local", "route del local 127.0.0.1 dev lo table local",
		"route add 127.0.0.0/8 via 169.254.1.1 dev eth0 onlink")
	// An answer could be lost on its way back, so what counts is what arrives.
	heard := make(chan string, 100)
	listenFor(t, theHost, at("127.0.0.1", hidden), heard)
	listenFor(t, theHost, at("127.0.0.1", 19104), heard)
	for _, port := range []int{hidden, 19104} {
		send(t, loop.netns, loop.v4, at("127.0.0.1", port), "from a pod")
		send(t, theHost, "", at("127.0.0.1", port), fmt.Sprintf("from the host to %d", port))
	}
	onlyHeard(t, h, heard, fmt.Sprintf("from the host to %d", hidden), "from the host to 19104")
}

// spoofedDropped sends from addresses that are not a pod's own. An answer
// would not come back to it, so what counts is what arrives.
func spoofedDropped(t *testing.T, h *harness.Host, outside string) {
	a := placed(t, h, "spoofer", answering("spoofer", ""))
	b := placed(t, h, "spoofed", answering("spoofed", ""))
	heard := make(chan string, 100)
	for _, where := range []string{b.netns, theHost, outside} {
		listenFor(t, where, ":7777", heard)
	}
	targets := []string{b.v4, host4, outside4, b.v6, host6, outside6}
	var good []string
	for _, source := range []string{b.v4, outside4, "8.8.8.8", "169.254.1.1", b.v6, "2001:db8::77"} {
		harness.IP(t, a.netns, "addr add "+source+" dev eth0 nodad")
		for _, target := range targets {
			if strings.Contains(source, ":") == strings.Contains(target, ":") && source != target {
				send(t, a.netns, source, at(target, 7777), source+" to "+target)
			}
		}
		harness.IP(t, a.netns, "addr del "+source+" dev eth0")
	}
	for _, target := range targets {
		source := a.v4
		if strings.Contains(target, ":") {
			source = a.v6
		}
		good = append(good, source+" to "+target)
		send(t, a.netns, source, at(target, 7777), source+" to "+target)
	}
	onlyHeard(t, h, heard, good...)
}

// onlyHeard waits for what is to arrive, which was sent last, and fails the
// test for all else.
func onlyHeard(t *testing.T, h *harness.Host, heard <-chan string, good ...string) {
	t.Helper()
	missing := slices.Clone(good)
	h.Eventually(waitKernel, func() error {
		select {
		case text := <-heard:
			if !slices.Contains(good, text) {
				t.Errorf("arrived: %s", text)
			}
			missing = slices.DeleteFunc(missing, func(m string) bool { return m == text })
		default:
		}
		if len(missing) > 0 || len(heard) > 0 {
			return fmt.Errorf("did not arrive: %q", missing)
		}
		return nil
	})
}

// listenFor tells what arrives by UDP at a place.
func listenFor(t *testing.T, where, address string, heard chan<- string) {
	t.Helper()
	var conn net.PacketConn
	if err := nspin.Inside(nspin.Net, where, func() (err error) {
		conn, err = net.ListenPacket("udp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 100)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			heard <- string(buf[:n])
		}
	}()
}

// send sends a datagram from an address of a place.
func send(t *testing.T, from, source, target, text string) {
	t.Helper()
	if err := nspin.Inside(nspin.Net, from, func() error {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(source)}}
		conn, err := d.Dial("udp", target)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte(text))
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// pending waits until a pod waits with words in its message.
func pending(h *harness.Host, key string, words ...string) corev1.Pod {
	return h.WaitPod(key, waitKernel, func(p corev1.Pod) error {
		text := fmt.Sprintf("%s %+v %+v", p.Status.Message, p.Status.Conditions, p.Status.ContainerStatuses)
		for _, w := range words {
			if p.Status.Phase != corev1.PodPending || !strings.Contains(text, w) {
				return fmt.Errorf("phase %s, %s, want it pending and %q", p.Status.Phase, text, w)
			}
		}
		return nil
	})
}
