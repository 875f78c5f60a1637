package probes

import (
	"net"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Probes close their connections first, so that the kernel remembers these for
// a minute. Local ports are used again for other servers meanwhile: else a few
// hundred probes a second would use up all that there are.
func TestServersShareLocalPorts(t *testing.T) {
	runtime.LockOSThread() // which ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	loopback, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(loopback)
	}
	if err == nil {
		err = os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40003"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		server, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 20_001 + i})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		conn, err := dial(t.Context(), server.Addr().String())
		if err != nil {
			t.Fatalf("server %d, with 4 local ports: %v", i, err)
		}
		_ = conn.Close()
	}
}
