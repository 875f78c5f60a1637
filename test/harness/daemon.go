package harness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/podstead/podstead/test/leaks"
)

// daemon is a running podstead.
type daemon struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and err is set
	err  error
}

func hasKey(yaml, key string) bool {
	return regexp.MustCompile(`(?m)^` + key + `:`).MatchString(yaml)
}

// Start starts podstead and waits until it is ready.
func (h *Host) Start() {
	h.t.Helper()
	h.StartWithoutWaiting()
	h.WaitReady(30 * time.Second)
}

// WaitReady waits until podstead is ready and one containerd runs.
func (h *Host) WaitReady(within time.Duration) {
	h.t.Helper()
	h.Eventually(within, h.Ready)
}

// Ready tells why podstead is not ready, or why not just one containerd runs.
// It fails the test when podstead has ended.
func (h *Host) Ready() error {
	h.t.Helper()
	select {
	case <-h.daemon.done:
		h.t.Fatalf("podstead ended: %v", h.daemon.err)
	default:
	}
	if pids := h.Processes("containerd"); len(pids) != 1 {
		return fmt.Errorf("%d containerds run, want 1", len(pids))
	}
	return h.get("/readyz", nil)
}

// ContainerdRuns tells whether this host's containerd lives now.
func (h *Host) ContainerdRuns() bool {
	h.t.Helper()
	return len(h.Processes("containerd")) == 1
}

// ContainerdPID is that of this host's containerd, 0 unless just one lives.
func (h *Host) ContainerdPID() int {
	h.t.Helper()
	if pids := h.Processes("containerd"); len(pids) == 1 {
		return pids[0]
	}
	return 0
}

// StartWithoutWaiting starts podstead and returns at once.
func (h *Host) StartWithoutWaiting() {
	h.t.Helper()
	if h.daemon != nil {
		h.t.Fatal("podstead runs already")
	}
	path := filepath.Join(h.Dir, "config.yaml")
	if err := os.WriteFile(path, []byte(h.config()), 0o600); err != nil {
		h.t.Fatal(err)
	}
	log, err := os.OpenFile(h.log(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer log.Close()
	command := []string{filepath.Join(h.Bin, "podstead"), "run", "--config", path}
	if h.o.Unit != "" {
		h.startUnits(path)
		if command, err = confined(h.o.Unit, append(command, "--containerd-unit", "podstead-containerd.service", "--names-unit", "podstead-names.service")...); err != nil {
			h.t.Fatal(err)
		}
	}
	d := &daemon{cmd: exec.Command(command[0], command[1:]...), done: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.Env = append(append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere"), h.o.Env...)
	// What podstead starts must not depend on its session.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := d.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.done)
	}()
	h.daemon = d
}

// PID is podstead's.
func (h *Host) PID() int { return h.daemon.cmd.Process.Pid }

// Kill9 kills podstead at once and waits until it is gone.
func (h *Host) Kill9() { h.t.Helper(); h.end(syscall.SIGKILL, 10*time.Second) }

// Stop tells podstead to end and waits; it fails the test when podstead ends
// with an error.
func (h *Host) Stop() {
	h.t.Helper()
	d := h.daemon
	h.end(syscall.SIGTERM, 60*time.Second)
	if d.err != nil {
		h.t.Errorf("podstead ended with %v", d.err)
	}
}

// WaitEnd waits until podstead has ended by itself with an error, and returns
// the end of its log.
func (h *Host) WaitEnd(within time.Duration) string {
	h.t.Helper()
	d := h.daemon
	select {
	case <-d.done:
	case <-time.After(within):
		h.t.Fatalf("podstead did not end within %s", within)
	}
	h.daemon = nil
	if d.err == nil {
		h.t.Error("podstead ended without an error")
	}
	return h.logTail(20)
}

// Signal sends podstead a signal.
func (h *Host) Signal(s syscall.Signal) {
	h.t.Helper()
	if err := h.daemon.cmd.Process.Signal(s); err != nil {
		h.t.Fatal(err)
	}
}

func (h *Host) end(s syscall.Signal, within time.Duration) {
	h.t.Helper()
	if h.daemon == nil {
		h.t.Fatal("podstead does not run")
	}
	d := h.daemon
	if err := d.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		h.t.Fatal(err)
	}
	select {
	case <-d.done:
		h.daemon = nil
	case <-time.After(within):
		h.t.Fatalf("podstead did not end within %s of signal %v", within, s)
	}
}

// SignalContainerd sends this host's containerd a signal. After SIGKILL and
// SIGTERM it waits until that process is gone.
func (h *Host) SignalContainerd(s syscall.Signal) {
	h.t.Helper()
	pids := h.Processes("containerd")
	if len(pids) != 1 {
		h.t.Fatalf("%d containerds run on this host, want 1", len(pids))
	}
	if err := syscall.Kill(pids[0], s); err != nil {
		h.t.Fatal(err)
	}
	if s != syscall.SIGKILL && s != syscall.SIGTERM {
		return
	}
	h.Eventually(20*time.Second, func() error {
		if now := h.Processes("containerd"); len(now) > 0 && now[0] == pids[0] {
			return fmt.Errorf("containerd %d still runs", pids[0])
		}
		return nil
	})
}

// Processes returns the processes of a program that belong to this host. A
// child that has not yet become another program is none of them.
func (h *Host) Processes(name string) []int {
	h.t.Helper()
	all, err := leaks.Processes()
	if err != nil {
		h.t.Fatal(err)
	}
	found := map[int]int{} // their parents
	for _, p := range all {
		if p.State != "Z" && filepath.Base(p.Command[0]) == name && p.Mentions(h.Dir) {
			found[p.PID] = p.Parent
		}
	}
	var pids []int
	for pid, parent := range found {
		if _, forked := found[parent]; !forked {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (h *Host) log() string { return filepath.Join(h.Dir, "podstead.log") }

// logTail is the end of podstead's own log.
func (h *Host) logTail(lines int) string {
	content, err := os.ReadFile(h.log())
	if err != nil {
		return err.Error()
	}
	var last [][]byte
	for s := bufio.NewScanner(bytes.NewReader(content)); s.Scan(); {
		last = append(last, bytes.Clone(s.Bytes()))
	}
	return string(bytes.Join(last[max(0, len(last)-lines):], []byte("\n")))
}
