package probes_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// forever writes piece until nobody takes it any more.
func forever(c net.Conn, piece string) {
	many := bytes.Repeat([]byte(piece), 1+4096/len(piece))
	for {
		if _, err := c.Write(many); err != nil {
			return
		}
	}
}

// slowly writes a byte now and then until nobody takes it any more.
func slowly(c net.Conn, text string) {
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// after reads a request and then does the rest.
func after(rest func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		rest(c)
	}
}

// saying answers with a text.
func saying(text string) func(net.Conn) {
	return after(func(c net.Conn) { _, _ = io.WriteString(c, text) })
}

const ok = "HTTP/1.1 200 OK\r\n"

func bomb() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 64 {
		_, _ = w.Write(zeros)
	}
	_ = w.Close()
	return ok + fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", b.Len(), b.String())
}

// TestHostileServers holds each attempt in time and memory.
func TestHostileServers(t *testing.T) {
	https := func(a *corev1.HTTPGetAction) { a.Scheme = corev1.URISchemeHTTPS }
	plain := func(*corev1.HTTPGetAction) {}
	for _, c := range []struct {
		name   string
		change func(*corev1.HTTPGetAction)
		handle func(net.Conn)
		result pod.ProbeOutcome
		says   string
	}{
		{"endless body", plain, after(func(c net.Conn) { _, _ = io.WriteString(c, ok+"\r\n"); forever(c, "x") }), pod.ProbeSuccess, "status 200"},
		{"endless chunks of a byte", plain, after(func(c net.Conn) {
			_, _ = io.WriteString(c, ok+"Transfer-Encoding: chunked\r\n\r\n")
			forever(c, "1\r\nx\r\n")
		}), pod.ProbeSuccess, "status 200"},
		{"endless headers", plain, after(func(c net.Conn) { _, _ = io.WriteString(c, ok); forever(c, "a: b\r\n") }), pod.ProbeFailure, "larger than 16384 bytes"},
		{"one huge header", plain, after(func(c net.Conn) { _, _ = io.WriteString(c, ok+"a: "); forever(c, "b") }), pod.ProbeFailure, "larger than 16384 bytes"},
		{"endless informational answers", plain, after(func(c net.Conn) { forever(c, "HTTP/1.1 100 Continue\r\n\r\n") }), pod.ProbeFailure, "larger than 16384 bytes"},
		{"gzip bomb", plain, saying(bomb()), pod.ProbeSuccess, "status 200"},
		{"slow header", plain, after(func(c net.Conn) { slowly(c, ok+strings.Repeat("a: b\r\n", 1000)) }), pod.ProbeFailure, "no answer within 1s"},
		{"slow body", plain, after(func(c net.Conn) { _, _ = io.WriteString(c, ok+"\r\n"); slowly(c, "x") }), pod.ProbeFailure, "no answer within 1s"},
		{"silence", plain, after(func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }), pod.ProbeFailure, "no answer within 1s"},
		{"silence under TLS", https, after(func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }), pod.ProbeFailure, "no answer within 1s"},
		{"reset", plain, after(func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }), pod.ProbeFailure, "connection reset by peer"},
		{"TLS garbage", https, after(func(c net.Conn) { forever(c, "\x16\x03\x03\x40\x00garbage") }), pod.ProbeFailure, "TLS"},
		{"half closed", plain, func(c net.Conn) {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		}, pod.ProbeFailure, "the connection ended without an answer"},
		{"body that ends too soon", plain, saying(ok + "Content-Length: 10\r\n\r\nx"), pod.ProbeFailure, "the connection ended in the middle of the answer"},
		{"status line of garbage", plain, saying("\x1b[2J\x00 200 \xff\r\n\r\n"), pod.ProbeFailure, "malformed HTTP"},
		{"HTTP/0.9", plain, saying("<html>fine</html>"), pod.ProbeFailure, `malformed HTTP response "<html>fine</html>"`},
		{"speaks first", plain, func(c net.Conn) { forever(c, "220 hello\r\n") }, pod.ProbeFailure, "malformed HTTP"},
		{"endless status line", plain, after(func(c net.Conn) { forever(c, "x") }), pod.ProbeFailure, "larger than 16384 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			port := serve(t, c.handle)
			hold(t, httpTarget(port, c.change), nil, c.result, c.says)
		})
	}
}

func TestHostileGRPCServers(t *testing.T) {
	for name, handle := range map[string]func(net.Conn){
		"endless garbage": func(c net.Conn) { forever(c, "x") },
		"silence":         func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"closes":          func(net.Conn) {},
		"HTTP/1.1":        saying(ok + "\r\n"),
		"pings and reads nothing": func(c net.Conn) {
			_, _ = io.WriteString(c, "\x00\x00\x00\x04\x00\x00\x00\x00\x00") // SETTINGS
			forever(c, "\x00\x00\x08\x06\x00\x00\x00\x00\x00pingping")
		},
	} {
		t.Run(name, func(t *testing.T) {
			hold(t, grpcTarget(serve(t, handle), ""), nil, pod.ProbeFailure, "gRPC health check of 127.0.0.1:")
		})
	}
}

func TestFloodOfOutput(t *testing.T) {
	flood := func(ctx context.Context, _ string, _ []string, output io.Writer) (int, error) {
		line := bytes.Repeat([]byte("y\n"), 2048)
		for ctx.Err() == nil {
			if n, err := output.Write(line); n != len(line) || err != nil {
				t.Errorf("writing: %d, %v", n, err)
			}
		}
		return 0, ctx.Err()
	}
	hold(t, target("a"), flood, pod.ProbeFailure, "it did not end within 1s")
}

// hold makes an attempt and checks what it came to and what it cost.
func hold(t *testing.T, c pod.ProbeTarget, exec func(context.Context, string, []string, io.Writer) (int, error), result pod.ProbeOutcome, says string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := once(t, c, exec)
	runtime.ReadMemStats(&after)
	checkContains(t, got, result, says)
	// On a machine of one's own it is a second and some milliseconds.
	if limit := 6 * time.Second; got.Took > limit {
		t.Errorf("it took %s, want at most %s", got.Took, limit)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes were used", used)
	}
	if len(got.Message) > 1<<10 || strings.ContainsFunc(got.Message, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("the message is not fit to be shown: %q", got.Message)
	}
}
