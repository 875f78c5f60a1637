package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/pod"
)

// pair returns two ends of a TCP connection.
func pair(t *testing.T) (here, there *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	for _, c := range []net.Conn{a, b} {
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// forward begins a port-forward to pod web and returns the person's end, the
// pod's end, and what PortForward comes to.
func forward(t *testing.T, ctx context.Context) (person, inPod *net.TCPConn, done <-chan error) {
	t.Helper()
	fromDaemon, inPod := pair(t)
	d := &apitest.Daemon{OnDial: func(_ context.Context, v pod.View, port uint16) (net.Conn, error) {
		if v.Pod.UID != "uid-1" || port != 8080 {
			t.Errorf("port %d of pod %s was dialled, want 8080 of uid-1", port, v.Pod.UID)
		}
		return fromDaemon, nil
	}}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	c, _ := serve(t, d)
	person, local := pair(t)
	ended := make(chan error, 1)
	go func() { ended <- c.PortForward(ctx, webKey, 8080, local) }()
	return person, inPod, ended
}

// say writes all and ends its direction.
func say(t *testing.T, c *net.TCPConn, text []byte) {
	t.Helper()
	if _, err := c.Write(text); err != nil {
		t.Error(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
}

func hear(t *testing.T, c *net.TCPConn, want []byte) {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, %v, want %d others", len(got), err, len(want))
	}
}

func TestPortForwardEndsEachDirectionAlone(t *testing.T) {
	question, answer := bytes.Repeat([]byte("question "), 200_000), bytes.Repeat([]byte("answer "), 300_000)
	for name, first := range map[string]func(person, inPod *net.TCPConn) (from, to *net.TCPConn){
		"the person": func(person, inPod *net.TCPConn) (*net.TCPConn, *net.TCPConn) { return person, inPod },
		"the pod":    func(person, inPod *net.TCPConn) (*net.TCPConn, *net.TCPConn) { return inPod, person },
	} {
		t.Run(name+" ends first", func(t *testing.T) {
			person, inPod, done := forward(t, t.Context())
			from, to := first(person, inPod)
			saying := make(chan struct{})
			go func() {
				defer close(saying)
				say(t, from, question)
			}()
			// The whole question comes, with its end, while the way back is
			// open.
			hear(t, to, question)
			receive(t, saying)
			select {
			case err := <-done:
				t.Fatalf("ended with one direction: %v", err)
			default:
			}
			go say(t, to, answer)
			hear(t, from, answer)
			if err := receive(t, done); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestPortForwardEndsWithItsClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	person, inPod, done := forward(t, ctx)
	if _, err := person.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1)
	if _, err := io.ReadFull(inPod, buf); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	for name, c := range map[string]net.Conn{"person": person, "pod": inPod} {
		if n, err := c.Read(buf); err == nil {
			t.Errorf("%s: %d bytes came, want the end", name, n)
		}
	}
}

func TestPortForwardTellsOfAPodThatBreaksOff(t *testing.T) {
	person, inPod, done := forward(t, t.Context())
	if err := inPod.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := inPod.Close(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, done); err == nil || !strings.Contains(err.Error(), "connection reset by peer") {
		t.Errorf("ended with %v", err)
	}
	if _, err := person.Read(make([]byte, 1)); err == nil {
		t.Error("the person's connection goes on")
	}
}

func TestPortForwardThatCanNotBe(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(pod.Snapshot{Pods: []pod.View{
		view("default", "early", func(v *pod.View) { v.Pod.Status.Phase = corev1.PodPending }), view("default", "web"),
	}})
	c, _ := serve(t, d)
	for name, test := range map[string]struct {
		pod  string
		port uint16
		want string
	}{
		"no such pod":    {"gone", 80, `pods "gone" not found`},
		"not running":    {"early", 80, "unable to forward port because pod is not running. Current status=Pending"},
		"no such port":   {"web", 0, `port: got "0", want a number from 1 to 65535`},
		"nobody listens": {"web", 80, "error forwarding port 80 to pod web, uid uid-1: connect to port 80: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			person, local := pair(t)
			err := c.PortForward(t.Context(), pod.Key{Namespace: "default", Name: test.pod}, test.port, local)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if _, err := person.Read(make([]byte, 1)); err == nil {
				t.Error("the connection was left open")
			}
		})
	}
	if err := api.Forwardable(view("default", "web").Pod); err != nil {
		t.Errorf("a running pod: %v", err)
	}
}
