package logind

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// Bus is a bus that nobody else is on.
type Bus struct {
	// Address is what DBUS_SYSTEM_BUS_ADDRESS has to be.
	Address string

	t      testing.TB
	socket string
	config string
	daemon *exec.Cmd
}

const busConfig = `<busconfig>
  <type>system</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
`

// NewBus makes a bus in a folder, which ends with the test; Start starts it.
func NewBus(t testing.TB, dir string) *Bus {
	t.Helper()
	b := &Bus{t: t, socket: filepath.Join(dir, "bus"), config: filepath.Join(dir, "bus.conf")}
	b.Address = "unix:path=" + b.socket
	if err := os.WriteFile(b.config, fmt.Appendf(nil, busConfig, b.socket), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

// Start starts the bus and waits until it answers.
func (b *Bus) Start() {
	b.t.Helper()
	cmd := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", "--config-file="+b.config)
	// It must not outlive a test that panics.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.t.Fatalf("start a bus of our own (package dbus or dbus-daemon): %v", err)
	}
	b.daemon = cmd
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", b.socket)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the bus does not answer: %v", err)
		}
	}
}

// Stop kills the bus, if it runs.
func (b *Bus) Stop() {
	if b.daemon == nil {
		return
	}
	_ = b.daemon.Process.Kill()
	_ = b.daemon.Wait()
	b.daemon = nil
	_ = os.Remove(b.socket)
}

// Connect connects to the bus until the test ends.
func (b *Bus) Connect(options ...dbus.ConnOption) *dbus.Conn {
	b.t.Helper()
	conn, err := dbus.Connect(b.Address, options...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn
}
