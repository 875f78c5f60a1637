package network_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/test/harness"
)

// The tests run in a network namespace of their own, which is the host.
func TestMain(m *testing.M) { harness.MainOfRules(m) }

// Addresses of the lab: the host and a client outside on one link.
const (
	host4, outside4 = "192.0.2.1", "192.0.2.2"
	host6, outside6 = "2001:db8::1", "2001:db8::2"
)

// host is where the test itself is.
const host = "/proc/1/ns/net"

// lab is a host with a network of pods.
type lab struct {
	*testing.T
	*network.Network
	dir     string
	outside string
	seen    chan network.Event
}

// newLab makes a host that has a link to a namespace outside. The outside
// knows no way to pods' addresses.
func newLab(t *testing.T, cfg network.Config) *lab {
	t.Helper()
	l := &lab{T: t, dir: t.TempDir(), seen: make(chan network.Event, 100)}
	l.outside = filepath.Join(l.dir, "outside")
	nft(t, "flush ruleset")
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} { // pods of earlier labs had the same addresses
		if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, everything{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := nspin.Pin(map[nspin.Kind]string{nspin.Net: l.outside}, func() error { return up("lo") }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nspin.Unpin(l.outside) })
	run(t, "ip", "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", l.outside)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", "up0").Run() })
	run(t, "ip", "addr", "add", host4+"/24", "dev", "up0")
	run(t, "ip", "addr", "add", host6+"/64", "dev", "up0", "nodad")
	run(t, "ip", "link", "set", "up0", "up")
	within(t, l.outside, func() error {
		for _, args := range []string{"addr add " + outside4 + "/24 dev eth0", "addr add " + outside6 + "/64 dev eth0 nodad", "link set eth0 up"} {
			run(t, "ip", strings.Fields(args)...)
		}
		return nil
	})
	l.restart(cfg)
	t.Cleanup(l.removeAll)
	return l
}

// everything matches all connections.
type everything struct{}

func (everything) MatchConntrackFlow(*netlink.ConntrackFlow) bool { return true }

// restart is podstead that comes again: nothing but the kernel remembers.
func (l *lab) restart(cfg network.Config) {
	l.Helper()
	cfg.RunDir = l.dir
	cfg.Report = func(e network.Event) {
		select {
		case l.seen <- e:
		default:
		}
	}
	n, err := network.New(cfg)
	if err != nil {
		l.Fatal(err)
	}
	l.Network = n
}

func (l *lab) removeAll() {
	ctx := context.Background()
	uids, err := l.List(ctx)
	for _, uid := range uids {
		err = errors.Join(err, l.Remove(ctx, uid))
	}
	if err := errors.Join(err, l.RemoveAll(ctx)); err != nil {
		l.Errorf("clean up: %v", err)
	}
}

// node is a namespace with addresses.
type node struct {
	uid    types.UID
	path   string
	v4, v6 string
}

// pod makes a pod's network.
func (l *lab) pod(uid types.UID) node {
	l.Helper()
	a, err := l.Ensure(l.Context(), uid, &corev1.Pod{})
	if err != nil {
		l.Fatal(err)
	}
	if len(a.IPs) != 2 {
		l.Fatalf("addresses %q, want one of each family", a.IPs)
	}
	return node{uid, a.NetNS, a.IPs[0], a.IPs[1]}
}

// open sets the ports of pods.
func (l *lab) open(ports map[node][]pod.PortMapping) {
	l.Helper()
	if err := l.Set(l.Context(), config(ports)); err != nil {
		l.Fatal(err)
	}
}

func config(ports map[node][]pod.PortMapping) pod.NetworkConfig {
	var c pod.NetworkConfig
	for n, list := range ports {
		c.Pods = append(c.Pods, pod.PodNetwork{UID: n.uid, IPs: []string{n.v4, n.v6}, Ports: list})
	}
	return c
}

// run executes the keepers of the network until the test ends.
func (l *lab) run() {
	l.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Network.Run(ctx) }()
	l.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			l.Errorf("Run ended with %v", err)
		}
	})
}

func up(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

func nft(t testing.TB, script string) string {
	t.Helper()
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s\n%s", err, out, script)
	}
	return string(out)
}

// within runs f on a thread in a namespace and throws the thread away.
func within(t testing.TB, path string, f func() error) {
	t.Helper()
	if err := try(path, f); err != nil {
		t.Fatal(err)
	}
}

func try(path string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := errors.New("the test failed in another namespace")
		defer func() { done <- err }() // a test that fails ends the goroutine
		ns, openErr := os.Open(path)
		if openErr != nil {
			err = openErr
			return
		}
		if setErr := errors.Join(unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET), ns.Close()); setErr != nil {
			err = setErr
			return
		}
		err = f()
	}()
	return <-done
}

// serve answers on TCP and UDP in a namespace with a name and the address
// that it sees of its client.
func serve(t testing.TB, path, address, name string) {
	t.Helper()
	within(t, path, func() error {
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = errors.Join(tcp.Close(), udp.Close()) })
		go func() {
			for {
				c, err := tcp.Accept()
				if err != nil {
					return
				}
				go answer(c, name)
			}
		}()
		go func() {
			buf := make([]byte, 1000)
			for {
				_, from, err := udp.ReadFrom(buf)
				if err != nil {
					return
				}
				_, _ = udp.WriteTo([]byte(name+" "+from.(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("").String()+"\n"), from)
			}
		}()
		return nil
	})
}

// answer says who came, and goes on to do so for every line.
func answer(c net.Conn, name string) {
	defer c.Close()
	from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("").String()
	for in := bufio.NewScanner(c); in.Scan(); {
		if _, err := fmt.Fprintf(c, "%s %s\n", name, from); err != nil {
			return
		}
	}
}

// patience is how long an answer may take; silence is what counts as none.
const (
	patience = 5 * time.Second
	silence  = 700 * time.Millisecond
)

// ask sends a line from a namespace and returns the answer.
func ask(path, proto, address string, wait time.Duration) (answer string, err error) {
	err = try(path, func() error {
		c, err := net.DialTimeout(proto, address, wait)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
			return err
		}
		if _, err := c.Write([]byte("who\n")); err != nil {
			return err
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		answer = strings.TrimSpace(line)
		return err
	})
	return answer, err
}

// reaches fails the test unless the server of a name answers. It returns the
// address that the server saw.
func reaches(t testing.TB, path, proto, address, name string) string {
	t.Helper()
	got, err := ask(path, proto, address, patience)
	from, ok := strings.CutPrefix(got, name+" ")
	if err != nil || !ok {
		t.Errorf("%s %s: answer %q, %v, want one from %s", proto, address, got, err, name)
	}
	return from
}

// silent fails the test if anybody answers.
func silent(t testing.TB, path, proto, address string) {
	t.Helper()
	if got, err := ask(path, proto, address, silence); err == nil {
		t.Errorf("%s %s: answer %q, want none", proto, address, got)
	}
}

func at(ip string, port int) string {
	return netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(port)).String()
}

func eventually(t testing.TB, within time.Duration, condition func() error) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", within, err)
		}
	}
}
