// Package harness runs podstead, with a containerd of its own, for tests.
//
// A test binary that calls Main from its TestMain runs in network, mount and
// PID namespaces of its own: traffic stays on its own loopback, mounts vanish
// with it, and when it is killed, whatever it had started dies too. Only
// cgroups and files outlive it; the next run removes them (see Host).
package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// stageEnv tells a re-executed test binary what it is.
const (
	stageEnv  = "PODSTEAD_TEST_STAGE"
	stageInit = "init"
	stageTest = "test"
)

// Main runs the tests of a package in namespaces of their own and does not
// return. What is to be fetched from the machine's network is fetched before,
// since the namespaces have none; the tests run even if that fails.
func Main(m *testing.M, fetch ...func(context.Context) error) {
	stages(func() int { return amongForeignRules(m) }, fetch)
}

// MainOfRules is Main for tests that flush everybody's rules, so that those of
// another program can't be kept beside them.
func MainOfRules(m *testing.M, fetch ...func(context.Context) error) { stages(m.Run, fetch) }

func stages(test func() int, fetch []func(context.Context) error) {
	switch os.Getenv(stageEnv) {
	case stageInit:
		os.Exit(initProcess())
	case stageTest:
		os.Exit(test())
	default:
		for _, f := range fetch {
			if err := f(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, "fetch what tests need:", err)
			}
		}
		os.Exit(outside())
	}
}

// outside starts the init process of the namespaces and waits for it.
func outside() int {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests start containers and need root")
		return 1
	}
	// The child is to die with us, which the kernel ties to this thread.
	runtime.LockOSThread()
	return run(stageInit, &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}, nil)
}

// run executes this binary again as another stage.
func run(stage string, attr *syscall.SysProcAttr, started func(pid int) int) int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageEnv+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "start tests in namespaces of their own: %v\n", err)
		return 1
	}
	if started != nil {
		return started(cmd.Process.Pid)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "wait for tests:", err)
		return 1
	}
	return exitCode(cmd.ProcessState.Sys().(syscall.WaitStatus))
}

// initProcess is PID 1: it prepares the namespaces and buries the orphans.
func initProcess() int {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "prepare namespaces for tests:", err)
		return 1
	}
	return run(stageTest, nil, func(pid int) int {
		for {
			var status syscall.WaitStatus
			dead, err := syscall.Wait4(-1, &status, 0, nil)
			if err == nil && dead == pid {
				return exitCode(status)
			}
			if err != nil && !errors.Is(err, syscall.EINTR) {
				fmt.Fprintln(os.Stderr, "wait for tests:", err)
				return 1
			}
		}
	})
}

func exitCode(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// prepare makes mounts private in both directions but shared among our own
// namespaces, as systemd has it, and gives us our own /proc, loopback, and
// folder of shim sockets.
func prepare() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make mounts shared: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	const sockets = "/run/containerd"
	if err := os.MkdirAll(sockets, 0o711); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", sockets, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0711"); err != nil {
		return fmt.Errorf("mount %s: %w", sockets, err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set up loopback: %w", err)
	}
	return nil
}

// requireInside keeps a test that forgot Main from touching the machine.
func requireInside(t testing.TB) {
	t.Helper()
	if os.Getenv(stageEnv) != stageTest {
		t.Fatal("package harness works only below harness.Main: call it from TestMain")
	}
}
