// Package logind is a stand-in for logind and systemd's manager on a bus of its
// own, for tests of what happens when a server shuts down.
package logind

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

const (
	loginName    = "org.freedesktop.login1"
	loginPath    = "/org/freedesktop/login1"
	loginIface   = "org.freedesktop.login1.Manager"
	managerName  = "org.freedesktop.systemd1"
	managerPath  = "/org/freedesktop/systemd1"
	managerIface = "org.freedesktop.systemd1.Manager"
	properties   = "org.freedesktop.DBus.Properties"
)

// Lock is an inhibitor lock that somebody took.
type Lock struct {
	What, Who, Why, Mode string
	reader               *os.File
}

// Host is a server of which logind and systemd answer on a bus.
type Host struct {
	t    testing.TB
	conn *dbus.Conn

	mu        sync.Mutex
	preparing bool
	state     string
	maxDelay  time.Duration
	locks     []Lock
	// asked counts how often somebody asked whether a shutdown is under way.
	asked int
	// sending are our ends of locks whose message is on its way, by serial.
	sending map[uint32]*os.File
	serial  uint32
}

// New is a host on a bus, that is running and lets a shutdown wait for maxDelay.
func New(t testing.TB, b *Bus, maxDelay time.Duration) *Host {
	t.Helper()
	h := Spare(t, b, maxDelay)
	for _, name := range []string{loginName, managerName} {
		if reply, err := h.conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
			t.Fatalf("take the name %s: %v, %v", name, reply, err)
		}
	}
	return h
}

// Spare is a host on a bus that nobody finds there, for Replace.
func Spare(t testing.TB, b *Bus, maxDelay time.Duration) *Host {
	t.Helper()
	h := &Host{t: t, state: "running", maxDelay: maxDelay, sending: map[uint32]*os.File{}}
	h.conn = b.Connect(dbus.WithSerialGenerator(h), dbus.WithOutgoingInterceptor(h.leaving))
	for _, export := range []struct {
		object any
		path   dbus.ObjectPath
		iface  string
	}{{login{h}, loginPath, loginIface}, {getter{h}, loginPath, properties}, {getter{h}, managerPath, properties}} {
		if err := h.conn.Export(export.object, export.path, export.iface); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, l := range h.locks {
			_ = l.reader.Close()
		}
	})
	return h
}

// Asked tells how often somebody asked whether a shutdown is under way.
func (h *Host) Asked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

// Replace lets a logind that knows nothing of the locks take the place of this
// one, without a moment between.
func (h *Host) Replace(next *Host) {
	h.t.Helper()
	if reply, err := next.conn.RequestName(loginName, 0); err != nil || reply != dbus.RequestNameReplyInQueue {
		h.t.Fatalf("wait for the name: %v, %v", reply, err)
	}
	h.Leave()
}

// Leave takes logind away as if it had ended; its locks are forgotten.
func (h *Host) Leave() {
	h.t.Helper()
	if _, err := h.conn.ReleaseName(loginName); err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.locks {
		_ = l.reader.Close()
	}
	h.locks = nil
}

// Return brings logind back.
func (h *Host) Return() {
	h.t.Helper()
	if _, err := h.conn.RequestName(loginName, dbus.NameFlagDoNotQueue); err != nil {
		h.t.Fatal(err)
	}
}

// Prepare begins a shutdown, or calls it off.
func (h *Host) Prepare(active bool) {
	h.t.Helper()
	h.mu.Lock()
	h.preparing = active
	h.mu.Unlock()
	if err := h.conn.Emit(loginPath, loginIface+".PrepareForShutdown", active); err != nil {
		h.t.Fatal(err)
	}
}

// SetState is what systemd tells of itself from now on, such as stopping.
func (h *Host) SetState(state string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state = state
}

// Locks are those that are held now.
func (h *Host) Locks() []Lock {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.locks), func(l Lock) bool {
		fds := []unix.PollFd{{Fd: int32(l.reader.Fd())}}
		_, err := unix.Poll(fds, 0)
		return err == nil && fds[0].Revents&unix.POLLHUP != 0 // no writer is left
	})
}

// AwaitLocks waits until so many locks are held.
func (h *Host) AwaitLocks(n int) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		locks := h.Locks()
		if len(locks) == n {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("held are %+v, want %d", locks, n)
		}
	}
}

// login is the object of logind.
type login struct{ host *Host }

// Inhibit gives the writing end of a pipe to who asks.
func (l login) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	h := l.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.preparing {
		return 0, dbus.NewError("org.freedesktop.login1.OperationInProgress", []any{"The operation inhibition has been requested for is already running"})
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	h.locks = append(h.locks, Lock{What: what, Who: who, Why: why, Mode: mode, reader: r})
	h.sending[0] = w
	return dbus.UnixFD(w.Fd()), nil
}

// leaving notes which message carries a lock.
func (h *Host) leaving(msg *dbus.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range msg.Body {
		if _, ok := v.(dbus.UnixFD); ok {
			h.sending[msg.Serial()] = h.sending[0]
			delete(h.sending, 0)
		}
	}
}

// GetSerial numbers our messages.
func (h *Host) GetSerial() uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serial++
	return h.serial
}

// RetireSerial is called when a message was sent: from then on who asked holds
// the lock, and we must not.
func (h *Host) RetireSerial(serial uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w, ok := h.sending[serial]; ok {
		_ = w.Close()
		delete(h.sending, serial)
	}
}

// getter answers for the properties of both.
type getter struct{ host *Host }

// Get returns one property.
func (g getter) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	h := g.host
	h.mu.Lock()
	defer h.mu.Unlock()
	switch iface + "." + name {
	case loginIface + ".PreparingForShutdown":
		h.asked++
		return dbus.MakeVariant(h.preparing), nil
	case loginIface + ".InhibitDelayMaxUSec":
		return dbus.MakeVariant(uint64(h.maxDelay.Microseconds())), nil
	case managerIface + ".SystemState":
		return dbus.MakeVariant(h.state), nil
	default:
		return dbus.Variant{}, dbus.MakeFailedError(fmt.Errorf("there is no property %s.%s", iface, name))
	}
}
