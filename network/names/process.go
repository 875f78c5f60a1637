package names

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a server of names, whoever started it. The descriptor stands for
// this very process.
type process struct {
	pid int
	fd  *os.File
}

func openProcess(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return &process{pid, os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", pid))}, nil
}

func (p *process) close() { _ = p.fd.Close() }

// end waits for the end of the process or of ctx. A child of ours is buried.
func (p *process) end(ctx context.Context) error {
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
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, waitErr := unix.Wait4(p.pid, nil, unix.WNOHANG, nil); err == nil && waitErr != nil && !errors.Is(waitErr, unix.ECHILD) {
		err = os.NewSyscallError("wait4", waitErr)
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

// runs tells whether the process runs a program as it is in its file now, and
// not one that was replaced.
func (p *process) runs(binary string) bool {
	has, err := os.Stat(fmt.Sprintf("/proc/%d/exe", p.pid))
	if err != nil {
		return false
	}
	file, err := os.Stat(binary)
	return err != nil || os.SameFile(has, file) // Without a file there is no other one to run.
}

// find returns the processes that serve a folder, the one that was started
// last at the end.
func find(dir string) []*process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if serves(pid, dir) {
			pids = append(pids, pid)
		}
	}
	slices.SortFunc(pids, func(a, b int) int { return startTime(a) - startTime(b) })
	var list []*process
	for _, pid := range pids {
		if p, err := openProcess(pid); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// serves tells whether a process is the server of a folder, started by us:
// anybody can give a process any arguments, and nobody a user that is not
// theirs.
func serves(pid int, dir string) bool {
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.HasPrefix(args, []byte(program+"\x00--dir\x00"+dir+"\x00")) {
		return false
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return false
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	name, _ := strings.CutSuffix(filepath.Base(exe), " (deleted)")
	return err == nil && name == program && (owner == uint32(os.Geteuid()) || owner == nobody)
}

// startTime is when a process was started, in ticks since boot.
func startTime(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may have blanks; the start is the 20th field after it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0
	}
	ticks, _ := strconv.Atoi(string(fields[19]))
	return ticks
}
