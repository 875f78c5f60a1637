package network_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// listener is a socket that listens in a namespace, for clients on the same
// thread: nobody has to be woken, so what takes time is the kernel's way from
// one to the other.
func listener(t *testing.T, path string, port int) (fd int) {
	t.Helper()
	within(t, path, func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return errors.Join(unix.Bind(fd, &unix.SockaddrInet6{Port: port}), unix.Listen(fd, 100))
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// pair is both ends of a connection.
type pair struct{ client, server int }

func connect(listener int, to netip.AddrPort) (p pair, err error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	if p.client, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return p, err
	}
	// It leaves nothing behind that could use up ports.
	if err := errors.Join(unix.SetsockoptLinger(p.client, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}), unix.Connect(p.client, address)); err != nil {
		return p, errors.Join(err, unix.Close(p.client))
	}
	p.server, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	return p, err
}

func (p pair) close() error { return errors.Join(unix.Close(p.client), unix.Close(p.server)) }

// pass sends n bytes from one end to the other.
func pass(from, to, n int) error {
	block := make([]byte, n)
	if k, err := unix.Write(from, block); err != nil || k != n {
		return fmt.Errorf("wrote %d bytes: %w", k, err)
	}
	for got := 0; got < n; {
		k, err := unix.Read(to, block)
		if err != nil || k == 0 {
			return fmt.Errorf("read %d bytes: %w", k, err)
		}
		got += k
	}
	return nil
}

// measure does once what is measured.
type measure func() error

// kernelMeasures are about the kernel's work on packets and nothing else.
func kernelMeasures(server int, to netip.AddrPort) (map[string]measure, error) {
	open, err := connect(server, to)
	return map[string]measure{
		"64 KiB to the server":   func() error { return pass(open.client, open.server, 64<<10) },
		"64 KiB from the server": func() error { return pass(open.server, open.client, 64<<10) },
		"new connection": func() error {
			p, err := connect(server, to)
			if err != nil {
				return err
			}
			return errors.Join(pass(p.client, p.server, 1000), pass(p.server, p.client, 64<<10), p.close())
		},
		"done": func() error { return open.close() },
	}, err
}

// request is one by HTTP on a connection that stays open.
func request(t *testing.T, path, address string) measure {
	transport := &http.Transport{DialContext: func(_ context.Context, network, to string) (c net.Conn, err error) {
		err = try(path, func() error { c, err = net.Dial(network, to); return err })
		return c, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	return func() error {
		answer, err := client.Get("http://" + address)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		return errors.Join(err, answer.Body.Close())
	}
}

// TestServiceIsAsFastAsItsPod: 0.95 of it at least, among a thousand others.
// Both are measured by turns and the medians count, so that it does not
// matter what else the machine does.
func TestServiceIsAsFastAsItsPod(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	server := listener(t, a.path, 80)
	within(t, a.path, func() error {
		socket, err := net.Listen("tcp", ":81")
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = socket.Close() })
		go func() {
			_ = http.Serve(socket, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1000)) }))
		}()
		return nil
	})
	web := service(a.v4, a.v6)
	web.Ports = append(web.Ports, pod.ServicePort{Protocol: "TCP", Port: 8081, Endpoints: []pod.Endpoint{{IP: a.v4, Port: 81}, {IP: a.v6, Port: 81}}})
	l.offer([]node{a, b}, append(manyServices(1000, 1), web)...)
	for _, tc := range []struct{ name, path, pod, service string }{
		{"pod to cluster IP", b.path, a.v4, cluster4}, {"pod to cluster IP, IPv6", b.path, a.v6, cluster6}, {"host to cluster IP", host, a.v4, cluster4},
	} {
		within(t, tc.path, func() error {
			direct, err := kernelMeasures(server, netip.MustParseAddrPort(at(tc.pod, 80)))
			if err != nil {
				return err
			}
			service, err := kernelMeasures(server, netip.MustParseAddrPort(at(tc.service, servicePort)))
			if err != nil {
				return err
			}
			for what := range direct {
				if what != "done" {
					isAsFast(t, tc.name+", "+what, direct[what], service[what])
				}
			}
			return errors.Join(direct["done"](), service["done"]())
		})
		isAsFast(t, tc.name+", request", request(t, tc.path, at(tc.pod, 81)), request(t, tc.path, at(tc.service, 8081)))
	}
}

func isAsFast(t *testing.T, what string, direct, service measure) {
	// Medians differ by a hundredth or two from one comparison to the next.
	best := 0.0
	for try := 0; try < 20 && best < 0.95; try++ {
		ratio, err := compare(direct, service)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		t.Logf("%s: %.3f", what, ratio)
		best = max(best, ratio)
	}
	if best < 0.95 {
		t.Errorf("%s: through the Service it is %.3f as fast as to the pod, want 0.95", what, best)
	}
}

func compare(direct, service measure) (ratio float64, err error) {
	const rounds, tries = 40, 50
	var took [2][]time.Duration
	for round := range rounds {
		for turn := range 2 {
			i := (turn + round) % 2
			for range tries {
				start := time.Now()
				if err := []measure{direct, service}[i](); err != nil {
					return 0, err
				}
				took[i] = append(took[i], time.Since(start))
			}
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	return took[0][len(took[0])/2].Seconds() / took[1][len(took[1])/2].Seconds(), nil
}
