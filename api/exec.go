package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/coder/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// causeExitCode marks the exit code in the Status that ends an exec.
const (
	reasonNonZeroExit = metav1.StatusReason("NonZeroExitCode")
	causeExitCode     = metav1.CauseType("ExitCode")
)

// exec runs a command in a running container over a websocket.
func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	c, options, err := s.execTarget(r)
	if err != nil {
		writeError(w, err)
		return
	}
	s.streams.Add(1)
	defer s.streams.Done()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{streamProtocol}})
	if err != nil {
		return // Accept has answered.
	}
	defer conn.CloseNow()
	if conn.Subprotocol() != streamProtocol {
		_ = conn.Close(websocket.StatusPolicyViolation, "want the sub-protocol "+streamProtocol)
		return
	}
	conn.SetReadLimit(maxMessage)
	session := newExecSession(r.Context(), conn)
	code, err := s.cfg.Executor.Exec(session.ctx, c.ID, session.request(options))
	session.finish(execStatus(c.Name, code, err))
}

// execOptions is what the query of an exec asks for.
type execOptions struct {
	command            []string
	tty, stdin, stderr bool
}

func (s *Server) execTarget(r *http.Request) (pod.ContainerView, execOptions, error) {
	var o execOptions
	view, err := s.find(r)
	if err != nil {
		return pod.ContainerView{}, o, err
	}
	c, err := pickContainer(view, r.URL.Query().Get("container"))
	if err != nil {
		return c, o, err
	}
	status := containerStatus(view.Pod, c.Name)
	if c.ID == "" || status == nil || status.State.Running == nil {
		return c, o, apierrors.NewBadRequest(fmt.Sprintf("container %q of pod %s is not running, so nothing can be run in it", c.Name, view.Instance.Key))
	}
	o.command = r.URL.Query()["command"]
	if len(o.command) == 0 {
		return c, o, apierrors.NewBadRequest("command: got nothing, want the command to run and its arguments")
	}
	for name, to := range map[string]*bool{"tty": &o.tty, "stdin": &o.stdin, "stderr": &o.stderr} {
		if *to, err = flag(r, name); err != nil {
			return c, o, err
		}
	}
	return c, o, nil
}

// execStatus is the last word of an exec.
func execStatus(container string, code int, err error) metav1.Status {
	switch {
	case err != nil:
		return asStatus(apierrors.NewInternalError(fmt.Errorf("exec in container %q: %w", container, err)))
	case code == 0:
		return success()
	}
	return metav1.Status{
		TypeMeta: statusType(), Status: metav1.StatusFailure, Reason: reasonNonZeroExit,
		Message: fmt.Sprintf("command terminated with exit code %d", code),
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: causeExitCode, Message: strconv.Itoa(code)}}},
	}
}

// execSession carries the streams of one exec over its connection. Its ctx
// ends with the connection.
type execSession struct {
	ctx     context.Context //nolint:containedctx // the session is the life of one request
	cancel  context.CancelFunc
	conn    *websocket.Conn
	stdin   *io.PipeReader
	toStdin *io.PipeWriter
	resize  chan TerminalSize
	reading sync.WaitGroup
}

func newExecSession(ctx context.Context, conn *websocket.Conn) *execSession {
	s := &execSession{conn: conn, resize: make(chan TerminalSize, 1)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.stdin, s.toStdin = io.Pipe()
	s.reading.Go(s.receive)
	return s
}

func (s *execSession) request(o execOptions) ExecRequest {
	r := ExecRequest{
		Command: o.command, TTY: o.tty, Resize: s.resize,
		Stdout: channelWriter{s.ctx, s.conn, channelStdout}, Stderr: io.Discard,
	}
	if o.stderr && !o.tty {
		r.Stderr = channelWriter{s.ctx, s.conn, channelStderr}
	}
	if o.stdin {
		r.Stdin = s.stdin
	} else {
		// What a client sends all the same must not block the reading.
		_ = s.stdin.Close()
	}
	return r
}

// receive reads what the client sends until it goes away or finish is called.
func (s *execSession) receive() {
	defer close(s.resize)
	defer s.toStdin.Close()
	defer s.cancel()
	for {
		kind, message, err := s.conn.Read(s.ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageBinary || len(message) == 0 {
			continue
		}
		s.dispatch(message[0], message[1:])
	}
}

func (s *execSession) dispatch(channel byte, content []byte) {
	switch channel {
	case channelStdin:
		// The command may have closed its input: what comes is dropped.
		_, _ = s.toStdin.Write(content)
	case channelClose:
		if len(content) == 1 && content[0] == channelStdin {
			_ = s.toStdin.Close()
		}
	case channelResize:
		var size TerminalSize
		if json.Unmarshal(content, &size) == nil {
			s.setSize(size)
		}
	}
}

// setSize keeps the newest size only: a command that does not look for it
// holds up nothing.
func (s *execSession) setSize(size TerminalSize) {
	select {
	case <-s.resize:
	default:
	}
	s.resize <- size
}

// finish sends the status, closes the connection and waits for the reader.
func (s *execSession) finish(status metav1.Status) {
	if text, err := json.Marshal(status); err == nil {
		_, _ = channelWriter{s.ctx, s.conn, channelError}.Write(text)
	}
	_ = s.stdin.Close()
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
	s.cancel()
	s.reading.Wait()
}

// channelWriter sends what is written over one channel.
type channelWriter struct {
	ctx     context.Context //nolint:containedctx // an io.Writer can't be told otherwise
	conn    *websocket.Conn
	channel byte
}

func (w channelWriter) Write(b []byte) (int, error) {
	written := 0
	for len(b) > 0 {
		n := min(len(b), 32<<10)
		message := append([]byte{w.channel}, b[:n]...)
		if err := w.conn.Write(w.ctx, websocket.MessageBinary, message); err != nil {
			return written, err
		}
		written, b = written+n, b[n:]
	}
	return written, nil
}
