package harness

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/internal/nspin"
)

// Addresses of the link between the host and a client outside.
const (
	Host4, Outside4 = "192.0.2.1", "192.0.2.2"
	Host6, Outside6 = "2001:db8::1", "2001:db8::2"
)

// HostNetwork is the network namespace of all hosts, as a place to dial from.
const HostNetwork = "/proc/1/ns/net"

// Outside links the hosts with a network namespace beyond them, which knows
// no way to pods, until the test ends, and returns its path. There is one at
// a time.
func Outside(t testing.TB) string {
	t.Helper()
	requireInside(t)
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
	IP(t, HostNetwork, "link add up0 type veth peer name eth0 netns "+path,
		"addr add "+Host4+"/24 dev up0", "addr add "+Host6+"/64 dev up0 nodad", "link set up0 up")
	IP(t, path, "addr add "+Outside4+"/24 dev eth0", "addr add "+Outside6+"/64 dev eth0 nodad", "link set eth0 up")
	return path
}

// IP runs commands of ip in the network namespace at a path.
func IP(t testing.TB, place string, commands ...string) {
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

func ip(args string) error {
	if out, err := exec.CommandContext(context.Background(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}

// DialFrom connects from the network namespace at a path.
func DialFrom(place, proto, address string, wait time.Duration) (conn net.Conn, err error) {
	err = nspin.Inside(nspin.Net, place, func() (err error) {
		conn, err = net.DialTimeout(proto, address, wait)
		return err
	})
	return conn, err
}
