package runtime

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// Size of a terminal, in characters.
type Size struct {
	Width, Height uint16
}

// ExecRequest is a command to run in a running container, as the container's
// own user and with its environment and rights.
type ExecRequest struct {
	Command []string
	// Env is added to the container's own, NAME=value.
	Env []string
	// TTY gives the command a terminal; Stderr is then unused.
	TTY bool
	// Stdin, Stdout and Stderr may be nil. Stdin is read until it ends or
	// the command does.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Resize tells of new sizes of the terminal; may be nil.
	Resize <-chan Size
}

// answerTime is how long a containerd that works takes at most to say that it
// is there.
const answerTime = time.Second

// ErrNotStarted is wrapped by the error of a command that could not be started
// for a reason of its own: there is no such file, or it can't be executed.
var ErrNotStarted = errors.New("the command can't be started")

// Exec runs a command in a container, waits for its end and for the last of
// its output, and returns its exit code. When ctx ends before, the command is
// killed and the error is ctx's cause. Nothing is left behind in either case.
// For a command that can't be started the code is 127 or 126, as in a shell,
// and the error wraps ErrNotStarted.
func (r *Runtime) Exec(ctx context.Context, id string, q ExecRequest) (exitCode int, err error) {
	ctx = r.scope(ctx)
	hung := r.hangsAtTheEndOf(ctx)
	defer func() {
		if silent := hung(); silent != nil && err != nil {
			err = errors.Join(err, silent)
		}
	}()
	task, process, err := r.execTarget(ctx, id)
	if err != nil {
		return 0, err
	}
	process.Args = q.Command
	process.Env = append(slices.Clone(process.Env), q.Env...)
	process.Terminal = q.TTY
	stdin := &stdin{from: q.Stdin}
	// A call that is given up may still take effect, so making and starting
	// the command are carried through even if ctx ends.
	carried, cancel := afterwards(ctx)
	defer cancel()
	p, err := task.Exec(carried, execID(), process, r.execIO(q, stdin))
	if err != nil {
		return 0, failed("prepare a command in container", id, err)
	}
	stdin.closeWith(func() { _ = p.CloseIO(context.WithoutCancel(ctx), containerd.WithStdinCloser) })

	waiting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended, err := p.Wait(waiting)
	if err == nil {
		err = p.Start(carried)
	}
	defer func() { err = errors.Join(err, endExec(ctx, id, p, ended)) }()
	if err != nil {
		return notStarted(id, q.Command, err)
	}
	return r.attend(ctx, id, p, ended, q.Resize)
}

// hangsAtTheEndOf asks containerd, when ctx ends, whether it answers at all.
// The function that it returns has to be called; it tells, with an error that
// wraps pod.ErrUnavailable, that there was no answer.
func (r *Runtime) hangsAtTheEndOf(ctx context.Context) func() error {
	answer := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
		defer cancel()
		_, err := r.client.Version(short)
		answer <- err
	})
	return func() error {
		if stop() {
			return nil
		}
		if err := <-answer; err != nil {
			return fmt.Errorf("containerd does not answer: %w: %w", pod.ErrUnavailable, native(err))
		}
		return nil
	}
}

// commandFaults are what a runtime says of a command that can't be started for
// a reason of its own. All else, such as a full disk, is not its fault.
var commandFaults = []string{
	"no such file", "not found in $PATH", "permission denied", "exec format error",
	"not a directory", "is a directory", "argument list too long",
}

// notStarted tells a command that is at fault from a container or host that is.
func notStarted(id string, command []string, err error) (int, error) {
	message, ok := startFailure(err)
	if !ok || !slices.ContainsFunc(commandFaults, func(words string) bool { return strings.Contains(message, words) }) {
		return 0, failed("start a command in container", id, err)
	}
	code := 126
	if strings.Contains(message, "no such file") || strings.Contains(message, "not found in $PATH") {
		code = 127
	}
	return code, fmt.Errorf("run %q in container %q: %w: %s", command, id, ErrNotStarted, message)
}

// execTarget loads a container's task and the process that commands are
// modelled on.
func (r *Runtime) execTarget(ctx context.Context, id string) (containerd.Task, *specs.Process, error) {
	c, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return nil, nil, failed("find container", id, err)
	}
	s, err := c.Spec(ctx)
	if err != nil {
		return nil, nil, failed("read the spec of container", id, err)
	}
	if s.Process == nil {
		return nil, nil, fmt.Errorf("run a command in container %q: it has no process to model it on", id)
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return nil, nil, failed("find the running process of container", id, err)
	}
	process := *s.Process
	return task, &process, nil
}

// attend waits for the end of a started command.
func (r *Runtime) attend(ctx context.Context, id string, p containerd.Process, ended <-chan containerd.ExitStatus, resize <-chan Size) (int, error) {
	for {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("run a command in container %q: %w", id, context.Cause(ctx))
		case size, ok := <-resize:
			if !ok {
				resize = nil
				continue
			}
			// A size that can't be set leaves a usable terminal.
			_ = p.Resize(ctx, uint32(size.Width), uint32(size.Height))
		case status := <-ended:
			// A broken connection looks like the code 255 with an error.
			if err := status.Error(); err != nil {
				return 0, failed("wait for a command in container", id, err)
			}
			drain(ctx, p.IO())
			return int(status.ExitCode()), nil
		}
	}
}

// drain waits for the last of the output, unless what the command left running
// holds it open and ctx ends.
func drain(ctx context.Context, streams cio.IO) {
	if streams == nil {
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); streams.Wait() }()
	select {
	case <-done:
	case <-ctx.Done():
		streams.Cancel()
		streams.Close()
		<-done
	}
}

// endExec kills what still runs of a command and deletes it.
func endExec(ctx context.Context, id string, p containerd.Process, ended <-chan containerd.ExitStatus) error {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	// A start that failed may have come so far that there is a process.
	if p.Kill(ctx, unix.SIGKILL) == nil {
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
	_, err := p.Delete(ctx)
	if err == nil || isNotFound(err) {
		return nil
	}
	// Without its deletion the process's pipes would stay open.
	p.IO().Cancel()
	p.IO().Wait()
	p.IO().Close()
	return failed("delete a command in container", id, err)
}

// execIO connects the streams through pipes below RunDir.
func (r *Runtime) execIO(q ExecRequest, in *stdin) cio.Creator {
	var from io.Reader
	if q.Stdin != nil {
		from = in
	}
	opts := []cio.Opt{
		cio.WithStreams(from, orDiscard(q.Stdout), orDiscard(q.Stderr)),
		cio.WithFIFODir(filepath.Join(r.cfg.RunDir, "exec")),
	}
	if q.TTY {
		opts = append(opts, cio.WithTerminal)
	}
	return cio.NewCreator(opts...)
}

// orDiscard gives unwanted output a place to go: without one the shim fails.
func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

func execID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return "exec-" + hex.EncodeToString(b)
}

// stdin tells the shim when the input has ended: the shim holds the pipe open
// itself, so the command would not notice.
type stdin struct {
	from  io.Reader
	mu    sync.Mutex
	ended bool
	close func()
}

func (s *stdin) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ended = true; s.close != nil {
			s.close()
		}
	}
	return n, err
}

// closeWith says how, which is known only after reading may have begun.
func (s *stdin) closeWith(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.close = f; s.ended {
		f()
	}
}
