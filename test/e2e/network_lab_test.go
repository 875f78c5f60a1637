package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

// Addresses of the link between the host and a client outside.
const (
	host4, outside4 = harness.Host4, harness.Outside4
	host6, outside6 = harness.Host6, harness.Outside6
)

// theHost is where the tests are, as a place to ask from.
const theHost = harness.HostNetwork

// How long an answer may take, and what counts as none.
const (
	answerWithin = 5 * time.Second
	silence      = 700 * time.Millisecond
)

// responder is the image of the program that answers who asks.
const (
	responder        = "example.org/responder:1"
	responderPackage = "github.com/podstead/podstead/test/responder"
)

// nft runs a command of nft and returns what it printed.
func nft(t *testing.T, command string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nft", strings.Fields(command)...).CombinedOutput()
	if err != nil {
		t.Fatalf("nft %s: %v: %s", command, err, out)
	}
	return string(out)
}

// addResponder puts the image of the responder into the folder of archives.
func addResponder(t *testing.T, h *harness.Host) {
	t.Helper()
	img, err := images.FromGo(t.Context(), responderPackage, images.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h.AddImage(responder, img)
}

// answering is a pod whose container "app" answers with its name at port 80
// and has the lines that are given.
func answering(name, containerSpec string) string {
	return manifest(name, fmt.Sprintf("  containers:\n  - name: app\n    image: %s\n    args: [-name, %s, -answer, ':80', -http, ':8080', -grpc, ':9000']\n", responder, name)+
		block(4, containerSpec))
}

// hostPorts are the lines of a container whose port 80 is one of the host.
func hostPorts(port int, hostIP string) string {
	if hostIP != "" {
		hostIP = fmt.Sprintf(", hostIP: %q", hostIP)
	}
	return fmt.Sprintf("ports:\n- {containerPort: 80, hostPort: %[1]d%[2]s}\n- {containerPort: 80, hostPort: %[1]d%[2]s, protocol: UDP}\n", port, hostIP)
}

// place is the network of a pod.
type place struct {
	netns, v4, v6 string
}

// placeOf fails the test unless a pod has one address of each family.
func placeOf(t *testing.T, h *harness.Host, p corev1.Pod) place {
	t.Helper()
	var found place
	for _, a := range p.Status.PodIPs {
		parsed, err := netip.ParseAddr(a.IP)
		if err != nil {
			t.Fatalf("pod %s: %v", p.Name, err)
		}
		if parsed.Is4() {
			found.v4 = a.IP
		} else {
			found.v6 = a.IP
		}
	}
	if len(p.Status.PodIPs) != 2 || found.v4 == "" || found.v6 == "" || p.Status.PodIP != p.Status.PodIPs[0].IP {
		t.Fatalf("pod %s has podIP %q, podIPs %v, want one of each family", p.Name, p.Status.PodIP, p.Status.PodIPs)
	}
	found.netns = filepath.Join(h.Dir, "run/netns", string(p.UID))
	return found
}

// placed waits until the pod runs that a manifest wants, and returns where.
func placed(t *testing.T, h *harness.Host, name, yaml string) place {
	t.Helper()
	return placeOf(t, h, runs(h, name, yaml))
}

func at(address string, port int) string {
	return netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)).String()
}

// ask sends a line from a place and returns the answer.
func ask(from, proto, address string, wait time.Duration) (string, error) {
	conn, err := harness.DialFrom(from, proto, address, wait)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return askOn(conn, wait)
}

// askOn sends a line on a connection that is open.
func askOn(conn net.Conn, wait time.Duration) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("who\n")); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// reached waits until a pod answers by its name, and returns the address that
// it saw. Programs open their ports a moment after they run.
func reached(h *harness.Host, from, proto, address, name string) (seen string) {
	h.Eventually(waitKernel, func() error {
		got, err := ask(from, proto, address, answerWithin)
		ok := false
		if seen, ok = strings.CutPrefix(got, name+" "); err != nil || !ok {
			return fmt.Errorf("%s %s from %s: answer %q, %v, want one from %s", proto, address, filepath.Base(from), got, err, name)
		}
		return nil
	})
	return seen
}

// unheard fails the test if anybody answers.
func unheard(t *testing.T, from, proto, address string) {
	t.Helper()
	if got, err := ask(from, proto, address, silence); err == nil {
		t.Errorf("%s %s from %s: answer %q, want none", proto, address, filepath.Base(from), got)
	}
}
