package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/godbus/dbus/v5"
)

// InhibitorConfig says what is done when the host shuts down.
type InhibitorConfig struct {
	// Who and Why are shown by systemd-inhibit.
	Who, Why string
	// Prepare is called when the host is about to shut down. logind waits until
	// it returns, or until its own limit is over. Its ctx ends when the shutdown
	// is called off or Run's ctx ends.
	Prepare func(ctx context.Context)
	// Cancelled is called when the shutdown was called off, after Prepare has
	// returned.
	Cancelled func()
	// Report is called when the state has changed.
	Report func(InhibitorState)
}

// InhibitorState is whether logind waits for us.
type InhibitorState struct {
	// Held tells that a shutdown would wait, MaxDelay how long at most.
	Held     bool
	MaxDelay time.Duration
	// Err is why it would not; nil also while a shutdown is under way.
	Err error
}

// Inhibitor delays the shutdown of the host through logind, as kubelet's
// graceful node shutdown does. Where there is no logind it goes on to look for
// one.
type Inhibitor struct{ cfg InhibitorConfig }

// NewInhibitor returns an Inhibitor; Run starts its work.
func NewInhibitor(cfg InhibitorConfig) *Inhibitor { return &Inhibitor{cfg: cfg} }

// Waits between attempts to reach logind.
const (
	reconnectMin = time.Second
	reconnectMax = 30 * time.Second
)

const (
	busName    = "org.freedesktop.DBus"
	loginName  = "org.freedesktop.login1"
	loginPath  = "/org/freedesktop/login1"
	loginIface = "org.freedesktop.login1.Manager"
)

// ShuttingDown tells whether logind prepares a shutdown now.
func ShuttingDown(ctx context.Context) (bool, error) {
	conn, err := connect(ctx, dbus.ConnectSystemBus)
	if err != nil {
		return false, fmt.Errorf("connect to the system bus: %w", err)
	}
	defer conn.Close()
	return preparing(ctx, conn)
}

func preparing(ctx context.Context, conn *dbus.Conn) (bool, error) {
	return property[bool](ctx, conn.Object(loginName, loginPath), loginIface, "PreparingForShutdown")
}

// Run holds the lock and follows logind until ctx ends; then it gives the lock
// back, after Prepare has returned.
func (i *Inhibitor) Run(ctx context.Context) error {
	f := &follower{cfg: i.cfg}
	defer f.end()
	wait := reconnectMin
	for {
		begun := time.Now()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		f.report(err)
		if time.Since(begun) > reconnectMax {
			wait = reconnectMin
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-f.prepared():
			f.letGo()
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, reconnectMax)
	}
}

// follower is one run of an Inhibitor. What it holds outlives a connection: the
// lock is a descriptor, and a shutdown goes on when the bus is gone.
type follower struct {
	cfg      InhibitorConfig
	told     *InhibitorState
	maxDelay time.Duration
	// lock is held while no shutdown is under way, and during Prepare; a stale
	// one was given by a logind that has ended.
	lock  *os.File
	stale bool
	// shutdown is what is under way, nil for nothing.
	shutdown *shutdown
}

// shutdown is one call of Prepare.
type shutdown struct {
	cancel   context.CancelFunc
	returned chan struct{}
	seen     bool
}

// follow does the work of one connection and returns why it ended.
func (f *follower) follow(ctx context.Context) error {
	conn, err := connect(ctx, dbus.ConnectSystemBus)
	if err != nil {
		return fmt.Errorf("connect to the system bus: %w", err)
	}
	defer conn.Close()
	// What comes is a reason to look, nothing more: anybody may send signals.
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(loginName), dbus.WithMatchInterface(loginIface), dbus.WithMatchMember("PrepareForShutdown")},
		{dbus.WithMatchSender(busName), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, loginName)},
	} {
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			return fmt.Errorf("listen to logind: %w", err)
		}
	}
	for {
		err := f.look(ctx, conn)
		switch {
		case err != nil && !missing(err):
			return err
		case err != nil && f.shutdown == nil:
			f.release()
		}
		f.report(err)
		select {
		case <-ctx.Done():
			return nil
		case <-f.prepared():
			f.letGo()
		case s, open := <-signals:
			if !open {
				return errors.New("the system bus has ended the connection")
			}
			// Another logind may know nothing of the lock.
			f.stale = f.stale || s.Sender == busName && s.Name == busName+".NameOwnerChanged"
		}
	}
}

// look asks logind how it is and acts on that.
func (f *follower) look(ctx context.Context, conn *dbus.Conn) error {
	under, err := preparing(ctx, conn)
	if err != nil {
		return fmt.Errorf("ask logind: %w", err)
	}
	if under {
		f.prepare(ctx)
		return nil
	}
	f.callOff()
	return f.take(ctx, conn.Object(loginName, loginPath))
}

// missing tells whether there is no logind on the bus, and none that the bus
// could start.
func missing(err error) bool {
	bus, ok := errors.AsType[dbus.Error](err)
	return ok && (bus.Name == "org.freedesktop.DBus.Error.ServiceUnknown" || bus.Name == "org.freedesktop.DBus.Error.NameHasNoOwner")
}

// take takes the lock unless it is held, and looks how long it holds.
func (f *follower) take(ctx context.Context, login dbus.BusObject) error {
	micros, err := property[uint64](ctx, login, loginIface, "InhibitDelayMaxUSec")
	if err != nil {
		return fmt.Errorf("ask logind: %w", err)
	}
	f.maxDelay = time.Duration(micros) * time.Microsecond
	if f.lock != nil && !f.stale {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	var fd dbus.UnixFD
	if err := login.CallWithContext(ctx, loginIface+".Inhibit", 0, "shutdown", f.cfg.Who, f.cfg.Why, "delay").Store(&fd); err != nil {
		return fmt.Errorf("ask logind to let shutdowns wait: %w", err)
	}
	f.release()
	f.lock = os.NewFile(uintptr(fd), "inhibitor")
	return nil
}

func (f *follower) release() {
	f.stale = false
	if f.lock != nil {
		_ = f.lock.Close() // a descriptor of a pipe that is not written to
		f.lock = nil
	}
}

// prepare calls Prepare beside the loop, once for each shutdown.
func (f *follower) prepare(ctx context.Context) {
	if f.shutdown != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &shutdown{cancel: cancel, returned: make(chan struct{})}
	f.shutdown = s
	go func() {
		defer close(s.returned)
		f.cfg.Prepare(ctx)
	}()
}

// prepared is closed when Prepare has returned and nobody has taken note yet;
// nil when there is nothing to wait for.
func (f *follower) prepared() <-chan struct{} {
	if f.shutdown == nil || f.shutdown.seen {
		return nil
	}
	return f.shutdown.returned
}

// letGo lets the shutdown go on.
func (f *follower) letGo() {
	f.shutdown.seen = true
	f.release()
}

// callOff ends what was begun for a shutdown that does not take place.
func (f *follower) callOff() {
	if f.shutdown == nil {
		return
	}
	f.shutdown.cancel()
	<-f.shutdown.returned
	f.shutdown = nil
	f.cfg.Cancelled()
}

func (f *follower) end() {
	if f.shutdown != nil {
		f.shutdown.cancel()
		<-f.shutdown.returned
	}
	f.release()
}

// report tells how it is if that is not known.
func (f *follower) report(err error) {
	state := InhibitorState{Held: f.lock != nil, MaxDelay: f.maxDelay, Err: err}
	if t := f.told; t != nil && t.Held == state.Held && t.MaxDelay == state.MaxDelay && fmt.Sprint(t.Err) == fmt.Sprint(err) {
		return
	}
	f.told = &state
	f.cfg.Report(state)
}
