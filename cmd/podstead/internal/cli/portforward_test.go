package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/pod"
)

// inPod answers, at port 80 of a pod, with its port and what it was told, in
// capitals; other ports have nobody.
func inPod(t *testing.T) func(context.Context, pod.View, uint16) (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(c)
			_, _ = c.Write(bytes.ToUpper(text))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return func(ctx context.Context, _ pod.View, port uint16) (net.Conn, error) {
		if port != 80 {
			return nil, fmt.Errorf("port %d: nobody listens", port)
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}
}

func ask(t *testing.T, address, question string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, question)
	_ = c.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// lines are the lines of a stream, as they come.
func lines(t *testing.T) (io.WriteCloser, func() string) {
	in, out := io.Pipe()
	found := make(chan string, 100)
	go func() {
		for s := bufio.NewScanner(in); s.Scan(); {
			found <- s.Text()
		}
	}()
	return out, func() string {
		t.Helper()
		select {
		case line := <-found:
			return line
		case <-time.After(10 * time.Second):
			t.Fatal("no further line came")
			return ""
		}
	}
}

func TestPortForward(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "podstead.sock")
	d := daemon()
	d.OnDial = inPod(t)
	stop, err := serve(d, socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	out, outLine := lines(t)
	errs, errLine := lines(t)
	defer out.Close()
	defer errs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- app(nil, out, errs, func(string) string { return "" }).Main(ctx,
			[]string{"--socket", socket, "port-forward", "pod/web", ":http", "0:81", "--address", "127.0.0.1"})
	}()
	address := map[string]string{}
	for range 2 {
		line := outLine()
		from, port, ok := strings.Cut(strings.TrimPrefix(line, "Forwarding from "), " -> ")
		if !ok || !strings.HasPrefix(from, "127.0.0.1:") || !strings.HasPrefix(line, "Forwarding from ") {
			t.Fatalf("got %q", line)
		}
		address[port] = from
	}
	local := func(port string) string { return strings.TrimPrefix(address[port], "127.0.0.1:") }
	for range 2 {
		if got := ask(t, address["80"], "hello"); got != "HELLO" {
			t.Errorf("got %q", got)
		}
		if got, want := outLine(), "Handling connection for "+local("80"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// One that fails ends no other.
	if got := ask(t, address["81"], "hello"); got != "" {
		t.Errorf("port 81 says %q", got)
	}
	want := "an error occurred forwarding " + local("81") + " -> 81: error forwarding port 81 to pod web, uid 11111111-2222: port 81: nobody listens"
	if got := errLine(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ask(t, address["80"], "again"); got != "AGAIN" {
		t.Errorf("got %q", got)
	}
	cancel()
	select {
	case got := <-code:
		if got != 0 {
			t.Errorf("an interrupted port-forward ends with %d", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on after it was interrupted")
	}
	if c, err := net.Dial("tcp", address["80"]); err == nil {
		_ = c.Close()
		t.Error("its port is still open")
	}
}
