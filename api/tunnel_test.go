package api

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// onePod is a daemon of one pod that is dialled by a function.
type onePod func() net.Conn

func (onePod) Latest() *pod.Snapshot {
	key := pod.Key{Namespace: "default", Name: "web"}
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	return &pod.Snapshot{Pods: []pod.View{{Instance: pod.Instance{Key: key, Number: 1}, Pod: p}}}
}

func (onePod) Changed() <-chan struct{} { return nil }

func (o onePod) Dial(context.Context, pod.View, uint16) (net.Conn, error) { return o(), nil }

func TestPortForwardsAreBounded(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "podstead.sock")
	inPod := make(chan net.Conn, 2)
	daemon := onePod(func() net.Conn {
		here, there := net.Pipe()
		inPod <- there
		return here
	})
	s := New(Config{Socket: socket, Snapshots: daemon, PortForwarder: daemon})
	s.forwards = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Listening()
	c := NewClient(socket)
	forward := func() (net.Conn, <-chan error) {
		person, local := net.Pipe()
		ended := make(chan error, 1)
		go func() {
			ended <- c.PortForward(ctx, pod.Key{Namespace: "default", Name: "web"}, 80, local)
		}()
		return person, ended
	}
	first, firstEnded := forward()
	firstInPod := <-inPod
	if _, err := forward(); !strings.Contains((<-err).Error(), "1 connections are forwarded already") {
		t.Error("one too many was let in")
	}
	_, _ = first.Close(), firstInPod.Close()
	if err := <-firstEnded; err != nil {
		t.Errorf("the first one ended with %v", err)
	}
	// Its place is free once the server has seen it end.
	for deadline := time.Now().Add(10 * time.Second); len(s.forwards) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the place of a forward that has ended stays taken")
		}
	}
	_, thirdEnded := forward()
	<-inPod
	cancel()
	<-thirdEnded
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestTunnelSeesItsOtherSideGoWhileItsConnectionIsStuck(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	// Nobody reads the other end: every write is stuck.
	conn, stuck := net.Pipe()
	defer stuck.Close()
	ended := make(chan error, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			ended <- nil
			return
		}
		ended <- tunnel{ws: ws, conn: conn, send: channelStdout, receive: channelStdin, stallTime: time.Millisecond}.run(r.Context())
	})}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", l.Addr().String()) }
	ws, _, err := websocket.Dial(t.Context(), "ws://podstead/", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.Write(t.Context(), websocket.MessageBinary, []byte("\x00some text")); err != nil {
		t.Fatal(err)
	}
	// The tunnel asks for us while it is stuck, which shows that it is.
	patience, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, message, err := ws.Read(patience); err != nil || string(message) != "\x01" {
		t.Fatalf("got %q, %v, want a message without content", message, err)
	}
	_ = ws.CloseNow()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the tunnel ended without an error")
		}
	case <-time.After(10 * time.Second):
		t.Error("the tunnel goes on after its other side has gone")
	}
}
