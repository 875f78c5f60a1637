package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
)

// portForward leads connections through the command to a server that listens
// on the pod's loopback only.
func portForward(t *testing.T, h *harness.Host, _ string) {
	p := placed(t, h, "forwarded", strings.Replace(answering("forwarded", ""), "':80'", "'127.0.0.1:81'", 1))
	unheard(t, theHost, "tcp", at(p.v4, 81))
	cmd := h.Command("port-forward", "forwarded", ":81", "--address", "127.0.0.1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	var port int
	if _, scanErr := fmt.Sscanf(line, "Forwarding from 127.0.0.1:%d -> 81", &port); err != nil || scanErr != nil {
		t.Fatalf("port-forward says %q, %v", line, err)
	}
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		close(drained)
	}()
	address := at("127.0.0.1", port)
	reached(h, theHost, "tcp", address, "forwarded")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := halfClosed(address, "forwarded 127.0.0.1\n"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-drained
	if err := cmd.Wait(); err != nil {
		t.Errorf("port-forward that is interrupted ends with %v", err)
	}
	if conn, err := net.DialTimeout("tcp", address, silence); err == nil {
		conn.Close()
		t.Errorf("%s is still open", address)
	}
}

// halfClosed sends many lines, says that there are no more, and reads all the
// answers with the last one, which the server gives after that.
func halfClosed(address, answer string) error {
	const many = 20_000
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(waitKernel)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, strings.Repeat("who\n", many))
		if err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		sent <- err
	}()
	got, err := io.ReadAll(conn)
	if err != nil {
		return fmt.Errorf("read through port-forward: %w after %d bytes", err, len(got))
	}
	if err := <-sent; err != nil {
		return fmt.Errorf("write through port-forward: %w", err)
	}
	if want := strings.Repeat(answer, many) + "bye\n"; string(got) != want {
		return fmt.Errorf("%d bytes came through port-forward, ending with %q, want %d", len(got), got[max(0, len(got)-40):], len(want))
	}
	return nil
}
