package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// maxSize keeps the binary small: every pod that shares processes has one.
const maxSize = 1_500_000

// build makes the binary as it is shipped.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "podstead-pause")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// start runs the binary as the first process of a PID namespace and returns
// once it handles signals, which it does before it reaps.
func start(t *testing.T, bin string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making PID namespaces needs root")
	}
	cmd := exec.Command(bin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	inNamespace(t, cmd.Process.Pid, "(true &)")
	waitFor(t, "a first orphan to be reaped", func() bool { return len(children(t, cmd.Process.Pid)) == 0 })
	return cmd
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited 10 s for %s", what)
}

// inNamespace runs a shell command in the PID namespace of a process. Its
// output goes nowhere, so that what it leaves behind keeps nobody waiting.
func inNamespace(t *testing.T, pid int, script string) {
	t.Helper()
	done := make(chan error)
	go func() {
		// The thread is not unlocked: it ends with this goroutine and takes
		// the namespace for its children with it.
		runtime.LockOSThread()
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", pid))
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWPID)
			_ = ns.Close()
		}
		if err == nil {
			err = exec.Command("sh", "-c", script).Run()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("run %q: %v", script, err)
	}
}

// children lists what a process has adopted, ended ones included.
func children(t *testing.T, pid int) []string {
	t.Helper()
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(list))
}

func TestReapsOrphans(t *testing.T) {
	cmd := start(t, build(t))
	pid := cmd.Process.Pid
	const orphans = 50
	inNamespace(t, pid, fmt.Sprintf("i=0; while [ $i -lt %d ]; do (sleep 0.2 &); i=$((i+1)); done", orphans))
	waitFor(t, "every ended orphan to be reaped", func() bool { return len(children(t, pid)) == 0 })
	end(t, cmd, syscall.SIGTERM)
}

// end expects the process to be alive and to end well on a signal.
func end(t *testing.T, cmd *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("exit after %v: %v, want code 0", s, err)
	}
}

func TestEndsOnSignal(t *testing.T) {
	bin := build(t)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			cmd := start(t, bin)
			inNamespace(t, cmd.Process.Pid, "(sleep 600 &)")
			var orphan []string
			waitFor(t, "the orphan to be adopted", func() bool {
				orphan = children(t, cmd.Process.Pid)
				return len(orphan) == 1
			})
			end(t, cmd, s)
			waitFor(t, "the rest of the namespace to end", func() bool {
				_, err := os.Stat("/proc/" + orphan[0])
				return os.IsNotExist(err)
			})
		})
	}
}

func TestIsSmallAndStatic(t *testing.T) {
	bin := build(t)
	info, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxSize {
		t.Errorf("the binary has %d bytes, want at most %d", info.Size(), maxSize)
	}
	data, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "/lib64/ld-linux") {
		t.Error("the binary needs a dynamic linker; a pause container has none")
	}
}
