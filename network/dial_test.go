package network_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/network"
)

// greeter listens on address inside a pod's network and says word to whoever
// connects.
func greeter(t *testing.T, n *network.Network, uid types.UID, address, word string) netip.AddrPort {
	t.Helper()
	a, err := n.Ensure(t.Context(), uid, &corev1.Pod{})
	if err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	within(t, a.NetNS, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, word)
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestDialReachesThePodsOwnLoopback(t *testing.T) {
	n, _ := start(t)
	first := greeter(t, n, "one", "127.0.0.1:0", "one")
	// The same port of another pod is another server.
	greeter(t, n, "two", first.String(), "two")
	six := greeter(t, n, "one", "[::1]:0", "six")
	var dialing sync.WaitGroup
	for range 20 {
		for _, test := range []struct {
			uid  types.UID
			to   netip.AddrPort
			want string
		}{{"one", first, "one"}, {"two", first, "two"}, {"one", six, "six"}} {
			dialing.Go(func() {
				conn, err := n.Dial(t.Context(), test.uid, test.to)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if got, err := io.ReadAll(conn); string(got) != test.want || err != nil {
					t.Errorf("%s at %s says %q, %v, want %q", test.uid, test.to, got, err, test.want)
				}
			})
		}
	}
	dialing.Wait()
	// Nobody but who dialled was inside: the port is not the host's.
	var d net.Dialer
	if conn, err := d.DialContext(t.Context(), "tcp", first.String()); err == nil {
		_ = conn.Close()
		t.Errorf("%s answers outside of the pod", first)
	}
}

func TestDialTellsWhyItFailed(t *testing.T) {
	n, _ := start(t)
	if _, err := n.Ensure(t.Context(), "one", &corev1.Pod{}); err != nil {
		t.Fatal(err)
	}
	nobody := netip.MustParseAddrPort("127.0.0.1:80")
	if _, err := n.Dial(t.Context(), "one", nobody); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port that nobody listens on: got %v", err)
	}
	if _, err := n.Dial(t.Context(), "gone", nobody); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a pod without a namespace: got %v", err)
	}
	if _, err := n.Dial(t.Context(), "../one", nobody); err == nil {
		t.Error("a UID that leads out of the folder was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Dial(ctx, "one", nobody); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: got %v", err)
	}
}
