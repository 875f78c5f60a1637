package systemd

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/podstead/podstead/test/logind"
)

// held is an Inhibitor that runs, and what it calls.
type held struct {
	t      *testing.T
	events chan string
	states chan InhibitorState
	// stopped lets Prepare return.
	stopped chan struct{}
	end     func()
}

func runInhibitor(t *testing.T, b *logind.Bus) *held {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", b.Address)
	h := &held{t: t, events: make(chan string, 16), states: make(chan InhibitorState, 64), stopped: make(chan struct{}, 1)}
	i := NewInhibitor(InhibitorConfig{
		Who: "podstead", Why: "Pods are stopped",
		Prepare: func(ctx context.Context) {
			h.events <- "prepare"
			select {
			case <-h.stopped:
				h.events <- "prepared"
			case <-ctx.Done():
				h.events <- "given up"
			}
		},
		Cancelled: func() { h.events <- "cancelled" },
		Report:    func(s InhibitorState) { h.states <- s },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	h.end = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	return h
}

func (h *held) expect(want string) {
	h.t.Helper()
	select {
	case got := <-h.events:
		if got != want {
			h.t.Fatalf("%s was called, want %s", got, want)
		}
	case <-time.After(30 * time.Second):
		h.t.Fatalf("%s never came", want)
	}
}

// await waits for a state.
func (h *held) await(what string, is func(InhibitorState) bool) InhibitorState {
	h.t.Helper()
	for {
		select {
		case s := <-h.states:
			if is(s) {
				return s
			}
		case <-time.After(60 * time.Second):
			h.t.Fatalf("it is never %s", what)
		}
	}
}

func isHeld(s InhibitorState) bool { return s.Held && s.Err == nil }

func TestShutdownWaits(t *testing.T) {
	b := logind.NewBus(t, t.TempDir())
	b.Start()
	host := logind.New(t, b, 75*time.Second)
	h := runInhibitor(t, b)
	if s := h.await("held", isHeld); s.MaxDelay != 75*time.Second {
		t.Errorf("logind waits for %s, want 75s", s.MaxDelay)
	}
	if l := host.Locks(); len(l) != 1 || l[0].What != "shutdown" || l[0].Who != "podstead" || l[0].Mode != "delay" {
		t.Errorf("locks %+v", l)
	}

	host.Prepare(true)
	h.expect("prepare")
	if len(host.Locks()) != 1 {
		t.Error("the shutdown goes on while pods are stopped")
	}
	host.Prepare(true) // to be told twice changes nothing
	h.stopped <- struct{}{}
	h.expect("prepared")
	host.AwaitLocks(0)

	// After a cancelled one it waits again.
	host.Prepare(false)
	h.expect("cancelled")
	host.AwaitLocks(1)
	host.Prepare(true)
	h.expect("prepare")
	host.Prepare(false)
	h.expect("given up")
	h.expect("cancelled")
	host.AwaitLocks(1)

	host.Prepare(true)
	h.expect("prepare")
	h.end()
	h.expect("given up")
	host.AwaitLocks(0)
	if len(h.events) > 0 {
		t.Errorf("%s was called at the end", <-h.events)
	}
}

// TestOthersCanNotPretendAShutdown: any user may send signals, also to us alone.
func TestOthersCanNotPretendAShutdown(t *testing.T) {
	b := logind.NewBus(t, t.TempDir())
	b.Start()
	host := logind.New(t, b, time.Minute)
	h := runInhibitor(t, b)
	h.await("held", isHeld)
	foe := b.Connect()
	var names []string
	if err := foe.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
		t.Fatal(err)
	}
	// Each leads to a look at logind, and to nothing else. There are other
	// reasons for a look or two.
	for range 5 {
		asked := host.Asked()
		for _, to := range names {
			if strings.HasPrefix(to, ":") {
				pretend(t, foe, to)
			}
		}
		for deadline := time.Now().Add(30 * time.Second); host.Asked() == asked; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the foe's signal never came")
			}
		}
	}
	if len(h.events) > 0 {
		t.Fatalf("a foe's signal led to %s", <-h.events)
	}
	host.Prepare(true)
	h.expect("prepare")
	host.Prepare(false)
	h.expect("given up")
	h.expect("cancelled")
	h.end()
	if len(h.events) > 0 {
		t.Errorf("a foe's signal led to %s", <-h.events)
	}
}

// pretend sends one the signal of a shutdown.
func pretend(t *testing.T, foe *dbus.Conn, to string) {
	t.Helper()
	msg := &dbus.Message{Type: dbus.TypeSignal, Flags: dbus.FlagNoReplyExpected, Body: []any{true}, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath: dbus.MakeVariant(dbus.ObjectPath(loginPath)), dbus.FieldInterface: dbus.MakeVariant(loginIface),
		dbus.FieldMember: dbus.MakeVariant("PrepareForShutdown"), dbus.FieldDestination: dbus.MakeVariant(to),
		dbus.FieldSignature: dbus.MakeVariant(dbus.ParseSignatureMust("b")),
	}}
	if call := foe.Send(msg, nil); call != nil && call.Err != nil {
		t.Fatal(call.Err)
	}
}

// TestBusAndLogindComeAndGo: what is late, or restarted, is found.
func TestBusAndLogindComeAndGo(t *testing.T) {
	b := logind.NewBus(t, t.TempDir())
	h := runInhibitor(t, b)
	if s := h.await("without a bus", func(s InhibitorState) bool { return s.Err != nil }); s.Held {
		t.Errorf("state %+v", s)
	}
	b.Start()
	h.await("without logind", func(s InhibitorState) bool {
		return s.Err != nil && strings.Contains(s.Err.Error(), "login1")
	})
	host := logind.New(t, b, time.Minute)
	h.await("held", isHeld)

	host.Leave()
	h.await("without logind", func(s InhibitorState) bool { return s.Err != nil && !s.Held })
	host.Return()
	h.await("held again", isHeld)
	host.AwaitLocks(1)
	second := logind.Spare(t, b, 2*time.Minute)
	host.Replace(second)
	second.AwaitLocks(1)
	host = second

	// A shutdown whose begin and end nobody could tell.
	host.Prepare(true)
	h.expect("prepare")
	b.Stop()
	h.await("without a bus", func(s InhibitorState) bool { return s.Err != nil && s.Held })
	h.stopped <- struct{}{}
	h.expect("prepared")
	second.AwaitLocks(0)
	b.Start()
	again := logind.New(t, b, time.Minute)
	h.expect("cancelled")
	again.AwaitLocks(1)
	h.end()
}

// TestStartedWhileTheHostShutsDown: there is no lock to be had, and no time.
func TestStartedWhileTheHostShutsDown(t *testing.T) {
	b := logind.NewBus(t, t.TempDir())
	b.Start()
	host := logind.New(t, b, time.Minute)
	host.Prepare(true)
	h := runInhibitor(t, b)
	h.expect("prepare")
	if under, err := ShuttingDown(t.Context()); err != nil || !under {
		t.Errorf("ShuttingDown: %v, %v", under, err)
	}
	h.stopped <- struct{}{}
	h.expect("prepared")
	host.Prepare(false)
	h.expect("cancelled")
	host.AwaitLocks(1)
	if under, err := ShuttingDown(t.Context()); err != nil || under {
		t.Errorf("ShuttingDown: %v, %v", under, err)
	}
	h.end()
}

func TestStopping(t *testing.T) {
	b := logind.NewBus(t, t.TempDir())
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", b.Address)
	if _, err := stopping(t.Context(), dbus.ConnectSystemBus); err == nil {
		t.Error("an answer without a bus")
	}
	b.Start()
	host := logind.New(t, b, time.Minute)
	for state, want := range map[string]bool{"starting": false, "running": false, "degraded": false, "maintenance": false, "stopping": true} {
		host.SetState(state)
		if got, err := Stopping(t.Context()); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", state, got, err, want)
		}
	}
}

// TestABusThatHangs: nothing waits for it for ever.
func TestABusThatHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes as long as the patience with a bus")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*busTime)
	defer cancel()
	_, err := stopping(ctx, func(o ...dbus.ConnOption) (*dbus.Conn, error) {
		conn, _ := dbus.Dial("unix:path="+silent(t), o...)
		return conn, conn.Auth(nil)
	})
	if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("got %v", err)
	}
}

// silent is a socket that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "silent")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return path
}
