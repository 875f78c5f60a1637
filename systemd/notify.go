// Package systemd tells the service manager how podstead is, lets the host's
// shutdown wait for pods, and holds the units that are shipped. Without systemd
// it does nothing.
package systemd

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Config says what is told.
type Config struct {
	// Status is one line for people. It is asked for with each sign of life, and
	// within a second after Changed's channel was closed.
	Status func() string
	// Changed returns a channel that is closed when Status may be another; nil
	// if nobody can tell.
	Changed func() <-chan struct{}
	// Alive returns nil while podstead does its work. While it does not,
	// the watchdog gets no sign of life, and systemd restarts podstead.
	Alive func(ctx context.Context) error
}

// Notifier talks to the service manager. Its methods may be called from any
// goroutine.
type Notifier struct {
	cfg      Config
	stopping atomic.Bool
}

// New returns a Notifier; Run starts its work.
func New(cfg Config) *Notifier { return &Notifier{cfg: cfg} }

// statusInterval is the shortest time between two changes of the status.
const statusInterval = time.Second

// idleInterval is how often the status is told where no watchdog is set.
const idleInterval = 30 * time.Second

// Run tells that podstead is ready and then gives signs of life, three times as
// often as the watchdog asks for, until ctx ends. One that comes late on a busy
// server still counts.
func (n *Notifier) Run(ctx context.Context) error {
	interval, err := interval()
	if err != nil {
		return err
	}
	changed, told := n.changed(), n.cfg.Status()
	sent, err := n.send(daemon.SdNotifyReady + "\nSTATUS=" + told)
	if err != nil || !sent {
		return err
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	pause := time.NewTimer(statusInterval)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			_, err := n.send(daemon.SdNotifyStopping)
			return err
		case <-ticker.C:
			err = n.beat(ctx, 3*interval)
		case <-changed:
			changed = nil
			pause.Reset(statusInterval)
		case <-pause.C:
			changed = n.changed()
			told, err = n.tell(told)
		}
		if err != nil {
			return err
		}
	}
}

func (n *Notifier) changed() <-chan struct{} {
	if n.cfg.Changed == nil {
		return nil
	}
	return n.cfg.Changed()
}

// tell sends the status if it is another, and returns what is told now.
func (n *Notifier) tell(told string) (string, error) {
	status := n.cfg.Status()
	if status == told {
		return told, nil
	}
	_, err := n.send("STATUS=" + status)
	return status, err
}

// interval is the time between signs of life.
func interval() (time.Duration, error) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0, fmt.Errorf("read the watchdog's settings: %w", err)
	}
	if limit == 0 {
		return idleInterval, nil
	}
	return limit / 3, nil
}

// Stopping tells that podstead is ending. From now on each sign of life asks
// for more time, so that one which hangs is ended when TimeoutStopSec is over
// and one which stops pods is not.
func (n *Notifier) Stopping() error {
	n.stopping.Store(true)
	interval, err := interval()
	if err != nil {
		return err
	}
	_, err = n.send(daemon.SdNotifyStopping + "\n" + moreTime(4*interval))
	return err
}

// moreTime asks for time, which has to last until after the next sign of life.
func moreTime(d time.Duration) string {
	return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds())
}

func (n *Notifier) beat(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	state := "STATUS=" + n.cfg.Status()
	if n.cfg.Alive(ctx) == nil {
		state += "\n" + daemon.SdNotifyWatchdog
		if n.stopping.Load() {
			state += "\n" + moreTime(4*patience/3)
		}
	}
	_, err := n.send(state)
	return err
}

// Reloading tells that the configuration is read again; Reloaded that it was.
func (n *Notifier) Reloading() error {
	_, err := n.send(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	return err
}

// Reloaded ends what Reloading began.
func (n *Notifier) Reloaded() error {
	_, err := n.send(daemon.SdNotifyReady)
	return err
}

// send reports whether there is somebody to tell.
func (n *Notifier) send(state string) (bool, error) {
	sent, err := daemon.SdNotify(false, state)
	if err != nil {
		return false, fmt.Errorf("notify the service manager: %w", err)
	}
	return sent, nil
}
