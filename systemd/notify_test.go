package systemd

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// manager is the service manager's end.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

// await reads until a message has what is wanted, and returns it.
func await(t *testing.T, c *net.UnixConn, want string) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%q never came: %v", want, err)
		}
		if strings.Contains(string(buf[:n]), want) {
			return string(buf[:n])
		}
	}
}

func TestSignsOfLife(t *testing.T) {
	c := manager(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	var dead atomic.Bool
	n := New(Config{
		Status: func() string { return "3 pods" },
		Alive: func(context.Context) error {
			if dead.Load() {
				return errors.New("stuck")
			}
			return nil
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	if got := await(t, c, "READY=1"); !strings.Contains(got, "STATUS=3 pods") {
		t.Errorf("first message %q has no status", got)
	}
	await(t, c, "WATCHDOG=1")
	dead.Store(true)
	// What was on its way may still come; after that only the status does.
	quiet := 0
	for deadline := time.Now().Add(10 * time.Second); quiet < 5; {
		if time.Now().After(deadline) {
			t.Fatal("signs of life come from a podstead that is stuck")
		}
		if strings.Contains(await(t, c, "STATUS="), "WATCHDOG=1") {
			quiet = 0
			continue
		}
		quiet++
	}
	cancel()
	await(t, c, "STOPPING=1")
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestReload(t *testing.T) {
	c := manager(t)
	n := New(Config{})
	if err := n.Reloading(); err != nil {
		t.Fatal(err)
	}
	if got := await(t, c, "RELOADING=1"); !strings.Contains(got, "MONOTONIC_USEC=") {
		t.Errorf("%q has no time, without which systemd does not believe it", got)
	}
	if err := n.Reloaded(); err != nil {
		t.Fatal(err)
	}
	await(t, c, "READY=1")
}

func TestWithoutAServiceManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n := New(Config{Status: func() string { return "" }})
	if err := n.Run(t.Context()); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestStopsWithPatience: while podstead ends, each sign of life asks for more
// time; one that is stuck asks for none.
func TestStopsWithPatience(t *testing.T) {
	c := manager(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	var dead atomic.Bool
	n := New(Config{
		Status: func() string { return "the server shuts down" },
		Alive: func(context.Context) error {
			if dead.Load() {
				return errors.New("stuck")
			}
			return nil
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	if got := await(t, c, "WATCHDOG=1"); strings.Contains(got, "EXTEND_TIMEOUT_USEC") {
		t.Errorf("%q asks for time although nothing ends", got)
	}
	if err := n.Stopping(); err != nil {
		t.Fatal(err)
	}
	// Until after the next sign of life, which is 10 ms away and may take 30.
	if got := await(t, c, "STOPPING=1"); !strings.Contains(got, "EXTEND_TIMEOUT_USEC=40000") {
		t.Errorf("%q does not ask for time", got)
	}
	if got := await(t, c, "WATCHDOG=1"); !strings.Contains(got, "EXTEND_TIMEOUT_USEC=40000") {
		// One may have been on its way.
		if got := await(t, c, "WATCHDOG=1"); !strings.Contains(got, "EXTEND_TIMEOUT_USEC=40000") {
			t.Errorf("%q does not ask for time", got)
		}
	}
	dead.Store(true)
	for quiet, deadline := 0, time.Now().Add(10*time.Second); quiet < 5; quiet++ {
		if time.Now().After(deadline) {
			t.Fatal("one that is stuck asks for time")
		}
		if strings.Contains(await(t, c, "STATUS="), "EXTEND_TIMEOUT_USEC") {
			quiet = -1
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestStatusFollowsWhatChanges: people need not wait for the next sign of life.
func TestStatusFollowsWhatChanges(t *testing.T) {
	c := manager(t)
	t.Setenv("WATCHDOG_USEC", "")
	var mu sync.Mutex
	changed, status := make(chan struct{}), "no pods"
	n := New(Config{
		Status:  func() string { mu.Lock(); defer mu.Unlock(); return status },
		Changed: func() <-chan struct{} { mu.Lock(); defer mu.Unlock(); return changed },
		Alive:   func(context.Context) error { return nil },
	})
	become := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		status = text
		close(changed)
		changed = make(chan struct{})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	await(t, c, "STATUS=no pods")
	for _, text := range []string{"1 pod starting", "1 pod ready"} {
		become(text)
		await(t, c, "STATUS="+text)
	}
	cancel()
	await(t, c, "STOPPING=1")
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}
