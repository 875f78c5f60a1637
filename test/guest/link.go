package guest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"time"

	"github.com/podstead/podstead/test/guest/wire"
)

// link is a talk with the agent of one boot.
type link struct {
	client *rpc.Client
	bootID string
}

// connect greets the agent until it answers, as package wire tells. alive
// tells why there is no more sense in that.
func connect(socket string, within time.Duration, alive func() error) (*link, error) {
	conn, err := dial(socket, 10*time.Second)
	if err != nil {
		return nil, errors.Join(err, alive())
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	deadline := time.Now().Add(within)
	// An agent that is slower than our patience is given more of it.
	for number, patience := 1, 200*time.Millisecond; ; number, patience = number+1, min(patience*5/4, 10*time.Second) {
		boot, err := greet(conn, in, number, patience)
		if err == nil {
			return &link{rpc.NewClient(talk{in, conn}), boot}, conn.SetDeadline(time.Time{})
		}
		if ended := alive(); ended != nil || !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(deadline) {
			conn.Close()
			return nil, errors.Join(fmt.Errorf("the agent does not answer: %w", err), ended)
		}
	}
}

// greet says one hello and waits for its answer, which has the boot's id.
func greet(conn net.Conn, in *bufio.Reader, number int, patience time.Duration) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "\n%s %d\n", wire.Hello, number); err != nil {
		return "", err
	}
	want := fmt.Appendf(nil, "%s %d ", wire.Welcome, number)
	for {
		line, err := in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return "", err
		}
		if boot, ok := bytes.CutPrefix(line, want); ok {
			return string(bytes.TrimSpace(boot)), nil
		}
	}
}

// talk reads through the buffer that the greeting was read by.
type talk struct {
	in *bufio.Reader
	net.Conn
}

func (t talk) Read(b []byte) (int, error) { return t.in.Read(b) }

// errSilent is an agent that took a call and did not answer it.
var errSilent = errors.New("the agent did not answer")

// call calls a method of the agent and waits for its answer.
func (l *link) call(method string, args, reply any, within time.Duration) error {
	call := l.client.Go(wire.Service+"."+method, args, reply, make(chan *rpc.Call, 1))
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-call.Done:
		return call.Error
	case <-timer.C:
		return fmt.Errorf("%s: %w within %s", method, errSilent, within)
	}
}
