package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/systemd"
)

// killTime is what may pass after the end of all grace until what was killed is
// collected.
const killTime = 10 * time.Second

const shutsDown = "the server shuts down"

func (d *daemon) buildInhibitor() {
	if !d.config.running().Shutdown.Inhibitor {
		return
	}
	d.inhibitor = systemd.NewInhibitor(systemd.InhibitorConfig{
		Who: "podstead", Why: "Pods are stopped with their grace",
		Prepare: d.drainForShutdown, Cancelled: d.shutdownCancelled, Report: d.inhibitorChanged,
	})
}

// shutdownDrain stops pods as it is configured now; nothing if they are to be
// left alone.
func (d *daemon) shutdownDrain() (drain plan.Drain, wanted bool) {
	s := d.config.running().Shutdown
	return plan.Drain{
		Reason: shutsDown, GracePeriod: time.Duration(s.GracePeriod), GracePeriodCriticalPods: time.Duration(s.GracePeriodCriticalPods),
	}, s.GracePeriod > 0
}

// drainForShutdown returns when pods are stopped, when all the time for it has
// passed, or when ctx ends.
func (d *daemon) drainForShutdown(ctx context.Context) {
	drain, wanted := d.shutdownDrain()
	if !wanted {
		return
	}
	begun := time.Now()
	d.log.Info("the server shuts down: pods are stopped", zap.Duration("gracePeriod", drain.GracePeriod))
	ctx, cancel := context.WithTimeout(ctx, drain.GracePeriod+killTime)
	defer cancel()
	err := d.agent.Drain(ctx, drain)
	switch took := zap.Duration("took", time.Since(begun).Round(time.Millisecond)); {
	case err == nil:
		d.log.Info("pods are stopped, the shutdown may go on", took)
	case errors.Is(err, agent.ErrResumed), errors.Is(err, context.Canceled):
	default:
		d.log.Error("not all pods could be stopped in time, the shutdown goes on", zap.Error(err), took)
	}
}

func (d *daemon) shutdownCancelled() {
	d.log.Info("the shutdown was cancelled: pods go on")
	d.agent.Resume()
}

// shutdownBegun tells whether podstead is started or ended while the server
// shuts down. Without systemd it can't be told, and is not so.
func (d *daemon) shutdownBegun(ctx context.Context) bool {
	if d.agent.Latest().Draining.Reason == shutsDown {
		return true
	}
	stopping, err := systemd.Stopping(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("systemd can't be asked whether the whole server shuts down; it is taken for no", zap.Error(err))
	}
	if stopping || d.inhibitor == nil {
		return stopping
	}
	// Where logind can't be asked, that is told by its inhibitor.
	preparing, err := systemd.ShuttingDown(ctx)
	return preparing && err == nil
}

// inhibitorChanged tells once why a shutdown would not wait, and what is too
// short if it would.
func (d *daemon) inhibitorChanged(s systemd.InhibitorState) {
	grace := time.Duration(d.config.running().Shutdown.GracePeriod)
	d.shutdownWarning.Store(new(""))
	switch {
	case s.Err != nil:
		d.log.Info("logind can't be asked to let a shutdown wait for pods: they are stopped when podstead is stopped for one", zap.Error(s.Err))
	case s.Held && s.MaxDelay < grace:
		d.shutdownWarning.Store(new(fmt.Sprintf("logind lets a shutdown wait for %s at most, shutdown.gracePeriod is %s: the pods that take longer are stopped "+
			"while other services stop too (set InhibitDelayMaxSec=%d in a file in /etc/systemd/logind.conf.d, then systemctl kill -s HUP systemd-logind)",
			s.MaxDelay, grace, int((grace + killTime).Seconds()))))
	case s.Held:
		d.log.Info("a shutdown of the server waits until pods are stopped", zap.Duration("atMost", s.MaxDelay))
	}
	d.warn()
}
