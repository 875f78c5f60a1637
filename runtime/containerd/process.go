package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a containerd, whoever started it. The descriptor stands for this
// very process: its number may be given to another one, the descriptor not.
type process struct {
	pid int
	fd  *os.File
}

// openProcess opens the process by its number.
func openProcess(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return &process{pid: pid, fd: os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", pid))}, nil
}

func (p *process) close() { _ = p.fd.Close() }

// end waits for the end of the process and, if it is a child of ours, takes it
// off the list of processes.
func (p *process) end(ctx context.Context) error {
	if err := p.wait(ctx); err != nil {
		return err
	}
	_, err := unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
	if errors.Is(err, unix.ECHILD) {
		return nil
	}
	return os.NewSyscallError("wait4", err)
}

// wait returns when the process ended, or with the cause of ctx's end.
func (p *process) wait(ctx context.Context) error {
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
	return err
}

// signal sends a signal; a process that has ended is no error.
func (p *process) signal(s unix.Signal) error {
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

// readPID reads the file that names the process; 0 where there is none.
func readPID(path string) (int, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, nil
	}
	return pid, nil
}

// runsConfig tells whether a process is a containerd with this configuration
// file: the number alone may belong to anybody by now.
func runsConfig(pid int, config string) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	args := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	for i, a := range args {
		if a == "--config" && i+1 < len(args) && args[i+1] == config {
			return !isZombie(pid)
		}
	}
	return false
}

func isZombie(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')'):]), ") ")
	return !ok || strings.HasPrefix(rest, "Z")
}

// find looks for the process with this configuration file among all, for when
// the file that names it is lost.
func find(config string) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && runsConfig(pid, config) {
			return pid
		}
	}
	return 0
}

// protect makes the kernel spare a process when memory runs out, and returns
// what keeps it from that, in words. Where the right to lower the score is
// missing, containerd does without.
func protect(pid int) string {
	path := filepath.Join("/proc", strconv.Itoa(pid), "oom_score_adj")
	now, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(now)) == strconv.Itoa(oomScore) {
		return ""
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(oomScore)), 0); err != nil {
		return fmt.Sprintf("containerd keeps oom_score_adj %s instead of %d, so it may be killed when memory runs out: %v",
			strings.TrimSpace(string(now)), oomScore, err)
	}
	return ""
}
