package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// LogOptions say which lines are wanted; the zero value wants the whole log
// of the present run of a pod's only container.
type LogOptions struct {
	Container  string
	Follow     bool
	Previous   bool
	Timestamps bool
	// TailLines is nil for all.
	TailLines *int64
	// Since leaves out what is older; rounded up to seconds; 0 for all.
	Since time.Duration
	// SinceTime does so by a point in time; zero for all.
	SinceTime time.Time
	// LimitBytes ends the answer; 0 for no limit.
	LimitBytes int64
}

func (o LogOptions) query() url.Values {
	q := url.Values{}
	set := func(name, value string, given bool) {
		if given {
			q.Set(name, value)
		}
	}
	set("container", o.Container, o.Container != "")
	set("follow", "true", o.Follow)
	set("previous", "true", o.Previous)
	set("timestamps", "true", o.Timestamps)
	if o.TailLines != nil {
		q.Set("tailLines", strconv.FormatInt(*o.TailLines, 10))
	}
	set("sinceSeconds", strconv.FormatInt(int64((o.Since+time.Second-1)/time.Second), 10), o.Since > 0)
	set("sinceTime", o.SinceTime.UTC().Format(time.RFC3339), !o.SinceTime.IsZero())
	set("limitBytes", strconv.FormatInt(o.LimitBytes, 10), o.LimitBytes > 0)
	return q
}

// Logs opens the log of a container. The caller closes it.
func (c *Client) Logs(ctx context.Context, key pod.Key, o LogOptions) (io.ReadCloser, error) {
	return c.do(ctx, "GET", podPath("/api/v1", key, "/log"), o.query())
}

// Exec runs a command in a container ("" for a pod's only one), with the
// caller's streams, and returns its exit code. r.Stdin is read until it ends,
// also for a moment after the command ended.
func (c *Client) Exec(ctx context.Context, key pod.Key, container string, r ExecRequest) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := c.dialStream(ctx, key, "/exec", execQuery(container, r))
	if err != nil {
		return 0, err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxMessage)
	var sending sync.WaitGroup
	sending.Go(func() { sendSizes(ctx, conn, r.Resize) })
	// A read from a terminal can't be interrupted, so nobody waits for it.
	go sendInput(ctx, conn, r.Stdin)
	code, err := receiveExec(ctx, conn, r)
	cancel()
	sending.Wait()
	return code, err
}

// PortForward carries a connection to a TCP port of a pod, on the pod's own
// loopback, until both directions have ended, either fails or ctx ends. It
// closes conn, whose directions end alone if it has a method CloseWrite.
func (c *Client) PortForward(ctx context.Context, key pod.Key, port uint16, conn net.Conn) error {
	defer conn.Close()
	ws, err := c.dialStream(ctx, key, "/portforward", url.Values{"port": {strconv.Itoa(int(port))}})
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	return tunnel{ws: ws, conn: conn, send: channelStdin, receive: channelStdout, stallTime: stallTime}.run(ctx)
}

func execQuery(container string, r ExecRequest) url.Values {
	q := url.Values{"command": r.Command, "stdout": {"true"}}
	q.Set("stderr", strconv.FormatBool(r.Stderr != nil && !r.TTY))
	q.Set("stdin", strconv.FormatBool(r.Stdin != nil))
	q.Set("tty", strconv.FormatBool(r.TTY))
	if container != "" {
		q.Set("container", container)
	}
	return q
}

func (c *Client) dialStream(ctx context.Context, key pod.Key, path string, q url.Values) (*websocket.Conn, error) {
	conn, answer, err := websocket.Dial(ctx, "ws://podstead"+podPath("/api/v1", key, path)+"?"+q.Encode(),
		&websocket.DialOptions{HTTPClient: c.http, Subprotocols: []string{streamProtocol}})
	switch {
	case err == nil:
		return conn, nil
	case answer != nil:
		return nil, refusal(answer)
	default:
		return nil, c.failure(ctx, err)
	}
}

// sendInput ends when the input ends or the connection is gone.
func sendInput(ctx context.Context, conn *websocket.Conn, in io.Reader) {
	if in == nil {
		return
	}
	if _, err := io.Copy(channelWriter{ctx, conn, channelStdin}, in); err != nil {
		return
	}
	_, _ = channelWriter{ctx, conn, channelClose}.Write([]byte{channelStdin})
}

func sendSizes(ctx context.Context, conn *websocket.Conn, sizes <-chan TerminalSize) {
	for {
		select {
		case size, ok := <-sizes:
			if !ok {
				return
			}
			text, err := json.Marshal(size)
			if err != nil {
				return
			}
			if _, err := (channelWriter{ctx, conn, channelResize}).Write(text); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// receiveExec writes what the command says until its status comes.
func receiveExec(ctx context.Context, conn *websocket.Conn, r ExecRequest) (int, error) {
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return 0, fmt.Errorf("podstead ended the exec before the command: %w", err)
		}
		if len(message) == 0 {
			continue
		}
		switch content := message[1:]; message[0] {
		case channelStdout:
			err = writeTo(r.Stdout, content)
		case channelStderr:
			err = writeTo(r.Stderr, content)
		case channelError:
			return exitCode(content)
		}
		if err != nil {
			return 0, fmt.Errorf("write the command's output: %w", err)
		}
	}
}

func writeTo(w io.Writer, content []byte) error {
	if w == nil {
		return nil
	}
	_, err := w.Write(content)
	return err
}

func exitCode(text []byte) (int, error) {
	var status metav1.Status
	if err := json.Unmarshal(text, &status); err != nil {
		return 0, fmt.Errorf("read the status of the command: %w", err)
	}
	if status.Status == metav1.StatusSuccess {
		return 0, nil
	}
	if status.Reason != reasonNonZeroExit || status.Details == nil {
		return 0, &apierrors.StatusError{ErrStatus: status}
	}
	for _, cause := range status.Details.Causes {
		if cause.Type == causeExitCode {
			return strconv.Atoi(cause.Message)
		}
	}
	return 0, errors.New("the status of the command has no exit code")
}
