package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

// Addresses of the link between the host and a client outside.
const (
	host4, outside4 = "192.0.2.1", "192.0.2.2"
	host6, outside6 = "2001:db8::1", "2001:db8::2"
)

// theHost is where the tests are, as a place to ask from.
const theHost = "/proc/1/ns/net"

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

// newOutside links the host with a network namespace beyond it, which knows
// no way to pods, and returns its path.
func newOutside(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "outside")
	if err := nspin.Pin(map[nspin.Kind]string{nspin.Net: path}, func() error { return ip("link set lo up") }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = ip("link del up0")
		if err := nspin.Unpin(path); err != nil {
			t.Error(err)
		}
	})
	ips(t, theHost, "link add up0 type veth peer name eth0 netns "+path,
		"addr add "+host4+"/24 dev up0", "addr add "+host6+"/64 dev up0 nodad", "link set up0 up")
	ips(t, path, "addr add "+outside4+"/24 dev eth0", "addr add "+outside6+"/64 dev eth0 nodad", "link set eth0 up")
	return path
}

func ip(args string) error {
	if out, err := exec.CommandContext(context.Background(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}

// ips runs commands of ip in a namespace.
func ips(t *testing.T, place string, commands ...string) {
	t.Helper()
	if err := nspin.Inside(nspin.Net, place, func() error {
		for _, c := range commands {
			if err := ip(c); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

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

// answers waits until the pod runs that a manifest wants, and returns where.
func placed(t *testing.T, h *harness.Host, name, yaml string) place {
	t.Helper()
	return placeOf(t, h, runs(h, name, yaml))
}

func at(address string, port int) string {
	return netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)).String()
}

// open connects from a place.
func dial(from, proto, address string, wait time.Duration) (conn net.Conn, err error) {
	err = nspin.Inside(nspin.Net, from, func() (err error) {
		conn, err = net.DialTimeout(proto, address, wait)
		return err
	})
	return conn, err
}

// ask sends a line from a place and returns the answer.
func ask(from, proto, address string, wait time.Duration) (string, error) {
	conn, err := dial(from, proto, address, wait)
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
