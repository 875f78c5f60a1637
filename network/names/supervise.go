package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/process"
)

// supervisor does for one server what a service manager does: it holds its
// sockets and hears whether it is ready.
type supervisor struct {
	cfg    Config
	socket *net.UnixConn
	heard  sync.WaitGroup
	ready  chan int // PIDs

	mu      sync.Mutex
	sockets map[string]*os.File
}

// How long a server may take to be ready, to hand over its sockets, and to
// end.
const (
	readyTime = 10 * time.Second
	handTime  = time.Second
	endTime   = 10 * time.Second
)

func newSupervisor(cfg Config) (*supervisor, error) {
	path := filepath.Join(cfg.Dir, socketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("supervise the server of names: %w", err)
	}
	socket, err := listenUnix(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("supervise the server of names: %w", err)
	}
	s := &supervisor{cfg: cfg, socket: socket, ready: make(chan int, 10), sockets: map[string]*os.File{}}
	s.heard.Go(s.hear)
	return s, nil
}

// listenUnix listens in a folder whose path may be longer than a socket's
// may be.
func listenUnix(dir string) (*net.UnixConn, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	path := filepath.Join(fmt.Sprintf("/proc/self/fd/%d", folder.Fd()), socketFile)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	// The server is not root. Who sends is told by the kernel.
	err = os.Chmod(path, 0o666)
	if raw, rawErr := socket.SyscallConn(); err == nil {
		err = rawErr
		if err == nil {
			var failed error
			err = errors.Join(raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }), failed)
		}
	}
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return socket, nil
}

func (s *supervisor) close() {
	_ = s.socket.Close()
	s.heard.Wait()
	for _, f := range s.sockets {
		_ = f.Close()
	}
}

// hear reads what servers say, until the socket is closed.
func (s *supervisor) hear() {
	for buf, control := make([]byte, 4096), make([]byte, 4096); ; {
		n, k, _, _, err := s.socket.ReadMsgUnix(buf, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(backoffBase)
			continue
		}
		pid, files := rights(control[:k])
		s.take(pid, strings.Split(string(buf[:n]), "\n"), files)
	}
}

// rights reads who sent a message, and the files in it.
func rights(control []byte) (pid int, files []*os.File) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, nil
	}
	for i := range messages {
		if c, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			pid = int(c.Pid)
		}
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			for _, fd := range fds {
				unix.CloseOnExec(fd)
				files = append(files, os.NewFile(uintptr(fd), "socket"))
			}
		}
	}
	return pid, files
}

// take does what a server of ours says (sd_notify(3)).
func (s *supervisor) take(pid int, lines []string, files []*os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if !serves(pid, s.cfg.Dir) {
		return // Anybody may write to the socket.
	}
	said := map[string]string{}
	for _, line := range lines {
		word, value, _ := strings.Cut(line, "=")
		said[word] = value
	}
	name := said["FDNAME"]
	if said["FDSTOREREMOVE"] == "1" || said["FDSTORE"] == "1" && len(files) == 1 {
		if old := s.sockets[name]; old != nil {
			_ = old.Close()
		}
		delete(s.sockets, name)
	}
	if said["FDSTORE"] == "1" && len(files) == 1 {
		s.sockets[name], files = files[0], nil
	}
	if said["READY"] == "1" {
		select {
		case s.ready <- pid:
		default: // Nobody waits for so many.
		}
	}
}

// held are the sockets, for a server that is started.
func (s *supervisor) held() []*os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	var files []*os.File
	for _, f := range s.sockets {
		files = append(files, f)
	}
	return files
}

// life is that of one server, from finding or starting it to its end.
func (s *supervisor) life(ctx context.Context, starts int) error {
	p, err := s.living(ctx)
	if err != nil {
		return err
	}
	if p == nil {
		if p, err = s.begin(ctx); err != nil {
			return err
		}
	}
	defer p.Close()
	s.cfg.Report(Status{PID: p.PID, Since: time.Now(), Restarts: starts})
	if err := p.Wait(ctx); err != nil {
		return fmt.Errorf("wait for the server of names (process %d): %w", p.PID, err)
	}
	return fmt.Errorf("the server of names (process %d) has ended; it is started again", p.PID)
}

// living finds the server of an earlier podstead; nil if there is none. One
// whose program was replaced hands over to a new one, and so does one of
// several that was started earlier.
func (s *supervisor) living(ctx context.Context) (*process.Process, error) {
	all := find(s.cfg.Dir)
	if len(all) == 0 {
		return nil, nil
	}
	last := all[len(all)-1]
	if err := s.recover(ctx, last); err != nil {
		return nil, err
	}
	old := all[:len(all)-1]
	if !runs(last, s.cfg.Binary) {
		p, err := s.begin(ctx)
		if err != nil {
			s.cfg.Report(Status{PID: last.PID, Since: time.Now(), Err: fmt.Errorf("the one before goes on: %w", err)})
			return last, nil
		}
		last, old = p, all
	}
	for _, p := range old {
		s.dismiss(ctx, p)
	}
	return last, nil
}

// recover asks a server for its sockets.
func (s *supervisor) recover(ctx context.Context, p *process.Process) error {
	if err := p.Signal(unix.SIGUSR1); err != nil {
		return err
	}
	deadline := time.After(handTime)
	for len(s.held()) < 2*len(s.cfg.Listen) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return nil // It listens elsewhere, or hangs: another one will have sockets of its own.
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// begin starts a server and waits until it answers.
func (s *supervisor) begin(ctx context.Context) (*process.Process, error) {
	p, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(parent, readyTime)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Wait(ctx) }()
	for {
		select {
		case pid := <-s.ready:
			if pid != p.PID {
				continue
			}
			cancel()
			<-ended
			return p, nil
		case err := <-ended:
			if parent.Err() != nil {
				p.Close()
				return nil, parent.Err() // The next podstead finds it.
			}
			if err == nil {
				p.Close()
				return nil, fmt.Errorf("the server of names (process %d) has ended before it was ready", p.PID)
			}
			err = fmt.Errorf("the server of names (process %d) is not ready: %w", p.PID, err)
			s.dismiss(parent, p)
			return nil, err
		}
	}
}

// dismiss ends a server.
func (s *supervisor) dismiss(ctx context.Context, p *process.Process) {
	defer p.Close()
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	if p.Signal(unix.SIGTERM) == nil && p.Wait(ctx) == nil {
		return
	}
	if p.Signal(unix.SIGKILL) == nil {
		_ = p.Wait(context.WithoutCancel(ctx))
	}
}
