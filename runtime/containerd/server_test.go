package containerd

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const deadline = 30 * time.Second

func newConfig(t *testing.T) Config {
	t.Helper()
	bin := os.Getenv("PODSTEAD_BIN")
	if bin == "" {
		bin, _ = filepath.Abs("../../bin")
	}
	binary := filepath.Join(bin, "containerd")
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: build it with make, or say with PODSTEAD_BIN where it is", err)
	}
	dir, err := os.MkdirTemp("", "pst") //nolint:usetesting // a socket in it must have a short path
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	cfg := Config{
		Binary: binary, ShimDir: bin, Root: in("root"), State: in("state"), Socket: in("c.sock"),
		ConfigFile: in("config.toml"), PIDFile: in("pid"), LogFile: in("log"),
	}
	t.Cleanup(func() {
		if err := NewServer(cfg).Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return cfg
}

// running is a Server whose Run runs.
type running struct {
	*Server
	t    *testing.T
	stop func()
}

func run(t *testing.T, cfg Config) *running {
	s := NewServer(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	r := &running{Server: s, t: t}
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// answers waits for a containerd other than one, and for its socket.
func (r *running) answers(other int) int {
	r.t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		status := r.Status()
		if status.PID == 0 || status.PID == other {
			continue
		}
		if c, err := net.Dial("unix", r.cfg.Socket); err == nil {
			c.Close()
			return status.PID
		}
	}
	log, _ := os.ReadFile(r.cfg.LogFile)
	r.t.Fatalf("no containerd answers: %+v\n%s", r.Status(), log)
	return 0
}

func TestContainerdOutlivesItsSupervisor(t *testing.T) {
	cfg := newConfig(t)
	first := run(t, cfg)
	pid := first.answers(0)
	first.stop()
	if err := unix.Kill(pid, 0); err != nil {
		t.Fatalf("containerd ended with its supervisor: %v", err)
	}
	second := run(t, cfg)
	if again := second.answers(0); again != pid {
		t.Errorf("process %d was started beside %d", again, pid)
	}
	second.stop()
	if err := os.Remove(cfg.PIDFile); err != nil {
		t.Fatal(err)
	}
	third := run(t, cfg)
	if again := third.answers(0); again != pid {
		t.Errorf("without its file, process %d was started beside %d", again, pid)
	}
}

func TestContainerdIsStartedAgain(t *testing.T) {
	r := run(t, newConfig(t))
	pid := r.answers(0)
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	next := r.answers(pid)
	if s := r.Status(); s.Restarts != 1 || s.Err != nil {
		t.Errorf("status is %+v", s)
	}
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("process %d is a zombie: %v", pid, err)
	}
	r.stop()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(next, 0); err != unix.ESRCH {
		t.Errorf("process %d was not stopped: %v", next, err)
	}
	if err := r.Stop(ctx); err != nil {
		t.Errorf("stop of none: %v", err)
	}
}

func TestStopKillsOneThatHangs(t *testing.T) {
	r := run(t, newConfig(t))
	pid := r.answers(0)
	r.stop()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("process %d lives: %v", pid, err)
	}
}

func TestOneContainerdPerRoot(t *testing.T) {
	cfg := newConfig(t)
	r := run(t, cfg)
	r.answers(0)
	if err := NewServer(cfg).Run(t.Context()); err == nil || !strings.Contains(err.Error(), cfg.Root) {
		t.Errorf("a second supervisor: %v", err)
	}
	// One that was started with another configuration is found by its lock.
	r.stop()
	other := cfg
	other.ConfigFile, other.PIDFile, other.Socket = cfg.ConfigFile+"2", cfg.PIDFile+"2", cfg.Socket+"2"
	second := run(t, other)
	for end := time.Now().Add(deadline); second.Status().Err == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a second containerd was started")
		}
	}
	if s := second.Status(); s.PID != 0 || !strings.Contains(s.Err.Error(), "in use") {
		t.Errorf("status is %+v", s)
	}
}

func TestBinaryThatIsNotThere(t *testing.T) {
	cfg := newConfig(t)
	cfg.Binary += "-none"
	told := make(chan Status, 100)
	cfg.Report = func(s Status) { told <- s }
	run(t, cfg)
	select {
	case s := <-told:
		if s.Err == nil || !strings.Contains(s.Err.Error(), cfg.Binary) {
			t.Errorf("status is %+v", s)
		}
	case <-time.After(deadline):
		t.Fatal("nothing was reported")
	}
}

func TestVersion(t *testing.T) {
	cfg := newConfig(t)
	v, err := NewServer(cfg).Version(t.Context())
	var major, minor, patch int
	if n, _ := fmt.Sscanf(v, "%d.%d.%d", &major, &minor, &patch); n != 3 || err != nil {
		t.Errorf("version %q, %v", v, err)
	}
}
