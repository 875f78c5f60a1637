// Package process holds on to processes that others may have started.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one process, whoever started it. Its descriptor stands for this
// very process: its number may be given to another one, the descriptor not.
type Process struct {
	PID int
	fd  *os.File
}

// Open holds on to the process of a number. An error wraps that of
// pidfd_open(2): ESRCH if there is none.
func Open(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return &Process{PID: pid, fd: os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", pid))}, nil
}

// Close lets go of the process, which goes on.
func (p *Process) Close() { _ = p.fd.Close() }

// Wait returns when the process has ended, or with the cause of ctx's end. A
// child of ours is taken off the list of processes then.
func (p *Process) Wait(ctx context.Context) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.fd.SetReadDeadline(time.Now()) })
	defer func() {
		if !stop() {
			_ = p.fd.SetReadDeadline(time.Time{})
		}
	}()
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, waitErr := unix.Wait4(p.PID, nil, unix.WNOHANG, nil); err == nil && waitErr != nil && !errors.Is(waitErr, unix.ECHILD) {
		err = os.NewSyscallError("wait4", waitErr)
	}
	return err
}

// Signal sends a signal; a process that has ended is no error.
func (p *Process) Signal(s unix.Signal) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), s, nil, 0) }); err != nil {
		return err
	}
	if errors.Is(sent, unix.ESRCH) {
		return nil
	}
	return os.NewSyscallError("pidfd_send_signal", sent)
}
