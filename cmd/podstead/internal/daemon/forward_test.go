package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// greet says word to the next who connects.
func greet(t *testing.T, l net.Listener, word string) {
	t.Helper()
	var greeting sync.WaitGroup
	greeting.Go(func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.WriteString(c, word)
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		greeting.Wait()
	})
}

func portOf(l net.Listener) uint16 { return l.Addr().(*net.TCPAddr).AddrPort().Port() }

func TestForwarderReachesTheLoopbackOfAPod(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	n, err := network.New(network.Config{RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	own := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "own"}}
	a, err := n.Ensure(t.Context(), own.UID, own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Remove(context.Background(), own.UID); err != nil {
			t.Error(err)
		}
	})
	onHost := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "host"}, Spec: corev1.PodSpec{HostNetwork: true}}
	f := forwarder{n}
	for _, test := range []struct {
		name, address string
		pod           *corev1.Pod
		inside        bool
	}{
		{"IPv4", "127.0.0.1:0", own, true},
		{"IPv6 alone", "[::1]:0", own, true},
		{"the host's network", "127.0.0.1:0", onHost, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l net.Listener
			listen := func() (err error) {
				l, err = net.Listen("tcp", test.address)
				return err
			}
			if test.inside {
				err = nspin.Inside(nspin.Net, a.NetNS, listen)
			} else {
				err = listen()
			}
			if err != nil {
				t.Fatal(err)
			}
			greet(t, l, test.name)
			conn, err := f.Dial(t.Context(), pod.View{Pod: test.pod}, portOf(l))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if got, err := io.ReadAll(conn); string(got) != test.name || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if _, err := f.Dial(t.Context(), pod.View{Pod: own}, 80); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: got %v", err)
	}
}
