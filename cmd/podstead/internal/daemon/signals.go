package daemon

import (
	"context"
	"os"
	"os/signal"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
)

// endTime bounds what is done when podstead ends, beside draining.
const endTime = 10 * time.Second

// drainTime is more than any pod's grace.
const drainTime = 2 * time.Hour

// obeySignals reads the configuration again on SIGHUP, and ends podstead on
// the first SIGTERM or SIGINT: at once, or after its pods were stopped.
func (d *daemon) obeySignals(ctx context.Context, end context.CancelFunc) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGHUP, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-signals:
			if s == unix.SIGHUP {
				d.reload()
				continue
			}
			d.log.Info("podstead was told to end", zap.Stringer("signal", s))
			d.endOnSignal(ctx, signals)
			end()
			return nil
		}
	}
}

// endOnSignal stops pods if the server shuts down, or if that is configured.
// From now on another signal ends the process wherever it is.
func (d *daemon) endOnSignal(ctx context.Context, signals <-chan os.Signal) {
	go func() {
		for s := range signals {
			if s != unix.SIGHUP {
				d.log.Warn("podstead was told twice to end: it ends at once", zap.Stringer("signal", s))
				d.log.sync()
				os.Exit(1)
			}
		}
	}()
	if err := d.notifier.Stopping(); err != nil {
		d.log.Warn("systemd could not be told that podstead ends", zap.Error(err))
	}
	switch {
	case d.shutdownBegun(ctx):
		d.drainForShutdown(ctx)
	case d.config.running().OnExit == config.OnExitDrain:
		d.leave = true
		d.drainForGood(ctx)
	}
}

func (d *daemon) drainForGood(ctx context.Context) {
	d.log.Info("pods are stopped before podstead ends")
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	if err := d.agent.Drain(ctx, forGood()); err != nil {
		d.log.Error("not all pods could be stopped", zap.Error(err))
	}
}
