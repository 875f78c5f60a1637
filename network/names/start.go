package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/process"
	"github.com/podstead/podstead/network/names/handover"
)

// nobody is the user and the group without rights.
const nobody = 65534

// start starts a server in a session of its own, with no more rights than
// anybody has. It gets the sockets that a former one had, or new ones.
func (s *supervisor) start(ctx context.Context) (*process.Process, error) {
	if err := s.bind(ctx); err != nil {
		return nil, fmt.Errorf("start the server of names: %w", err)
	}
	// Folder and program may be below a folder that only we may enter.
	dir, err := os.Open(s.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start the server of names: %w", err)
	}
	defer dir.Close()
	binary, err := os.Open(s.cfg.Binary)
	if err != nil {
		return nil, fmt.Errorf("start the server of names: %w", err)
	}
	defer binary.Close()
	sockets := s.held()
	descriptor := func(n int) string { return fmt.Sprintf("/proc/self/fd/%d", 3+len(sockets)+n) }
	cmd := &exec.Cmd{
		Path: descriptor(1), Args: []string{program, "--dir", s.cfg.Dir, "--at", descriptor(0)},
		Dir: "/", ExtraFiles: append(sockets, dir, binary), Stderr: os.Stderr,
		Env:         []string{fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "NOTIFY_SOCKET=" + filepath.Join(descriptor(0), socketFile)},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server of names: %w", err)
	}
	p, err := process.Open(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("start the server of names: %w", err)
	}
	_ = cmd.Process.Release()
	return p, nil
}

// bind makes the sockets that there are none of.
func (s *supervisor) bind(ctx context.Context) error {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		// The host may get the address later.
		err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		return errors.Join(err, failed)
	}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.cfg.Listen {
		if name := handover.SocketName("udp", at); s.sockets[name] == nil {
			c, err := config.ListenPacket(ctx, "udp", at.String())
			if err != nil {
				return fmt.Errorf("listen on %s by UDP: %w", at, err)
			}
			if err := s.hold(name, c.(*net.UDPConn)); err != nil {
				return err
			}
		}
		if name := handover.SocketName("tcp", at); s.sockets[name] == nil {
			l, err := config.Listen(ctx, "tcp", at.String())
			if err != nil {
				return fmt.Errorf("listen on %s by TCP: %w", at, err)
			}
			if err := s.hold(name, l.(*net.TCPListener)); err != nil {
				return err
			}
		}
	}
	return nil
}

// hold keeps a socket for servers.
func (s *supervisor) hold(name string, socket interface {
	File() (*os.File, error)
	Close() error
}) error {
	f, err := socket.File()
	if err := errors.Join(err, socket.Close()); err != nil {
		return fmt.Errorf("keep a socket for names: %w", err)
	}
	s.sockets[name] = f
	return nil
}
