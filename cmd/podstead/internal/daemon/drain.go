package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/pod"
)

// answerTime is how long containerd may take to answer before it is given up.
const answerTime = time.Minute

// containerdUnit is the unit of the packages that runs podstead's containerd.
const containerdUnit = "podstead-containerd.service"

// errNoAnswer says that containerd can't be asked.
var errNoAnswer = errors.New("did not tell")

// Drain stops every pod with its grace, then ends podstead's containerd and
// removes its cgroups and rules. It is for when no podstead runs on the state
// folder, since that would start the pods again, and fails when one does; the
// next podstead starts them anew. tell gets a line for each pod that is gone.
func Drain(ctx context.Context, o Options, tell func(string)) error {
	d, closing, err := offline(o)
	if err != nil {
		return err
	}
	defer closing()
	if err := d.while(ctx, func(ctx context.Context) error { return d.stopPods(ctx, tell) }); err != nil {
		return err
	}
	if err := d.leaveNothing(); err != nil {
		return err
	}
	tell("node " + d.config.running().NodeName + " drained")
	return nil
}

// offline builds everything for work that is done while no podstead runs. Of
// the log people see errors alone: that containerd does not answer yet, or runs
// with less, is no news to who ends it.
func offline(o Options) (d *daemon, closing func(), err error) {
	cfg, err := load(o.ConfigFile)
	if err != nil {
		return nil, nil, err
	}
	cfg.Log = config.Log{Level: "error", Format: "console"}
	d, closing, err = open(o, cfg)
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("%w, which would start the pods again: stop it first (systemctl stop podstead)", err)
	}
	return d, closing, err
}

// while does some work while what stops pods runs: everything but what wants
// pods, and what others ask.
func (d *daemon) while(ctx context.Context, work func(context.Context) error) error {
	running, end := context.WithCancel(ctx)
	defer end()
	group, running := errgroup.WithContext(running)
	if d.containerd != nil {
		group.Go(func() error { return d.containerd.Run(running) })
	}
	group.Go(func() error { return d.runtime.Run(running) })
	group.Go(func() error { return d.agent.Run(running) })
	group.Go(func() error { return d.network.Run(running) })
	group.Go(func() error { return d.probes.Run(running) })
	var outcome error
	group.Go(func() error {
		defer end()
		outcome = work(running)
		return nil
	})
	// What ended first, and with it the others, is the cause.
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return outcome
}

// stopPods stops every pod and tells of each that is gone.
func (d *daemon) stopPods(ctx context.Context, tell func(string)) error {
	if err := d.awaitRuntime(ctx); err != nil {
		return err
	}
	if d.containerd != nil && runBy(d.containerd.Status().PID) == containerdUnit {
		return fmt.Errorf("containerd is run by %[1]s, which starts it again when it is ended: stop that first (systemctl stop %[1]s); nothing was stopped", containerdUnit)
	}
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- d.agent.Drain(ctx, forGood()) }()
	there := map[pod.Key]bool{}
	for {
		changed := d.agent.Changed()
		now := map[pod.Key]bool{}
		for _, v := range d.agent.Latest().Pods {
			now[v.Instance.Key] = true
		}
		tellGone(there, now, tell)
		there = now
		select {
		case <-changed:
		case err := <-drained:
			if err != nil {
				return fmt.Errorf("stop the pods: %w; %d are left, and podstead goes on with them when it is started", err, len(there))
			}
			// The last snapshot may be older than the end of the last pod.
			tellGone(there, nil, tell)
			return nil
		}
	}
}

// forGood takes every pod away with all that it has.
func forGood() plan.Drain { return plan.Drain{Reason: "podstead is drained", Remove: true} }

func tellGone(before, now map[pod.Key]bool, tell func(string)) {
	for key := range before {
		if !now[key] {
			tell("pod " + key.String() + " stopped")
		}
	}
}

// awaitRuntime waits until containerd told which pods there are.
func (d *daemon) awaitRuntime(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for {
		changed := d.agent.Changed()
		state := d.agent.Latest().Runtime
		if state.Up {
			return nil
		}
		select {
		case <-changed:
		case <-patience.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("containerd at %s %w within %s which pods there are: %s; nothing was stopped", state.Address, errNoAnswer, answerTime, state.Error)
		}
	}
}

// runBy is the systemd unit that a process belongs to, empty if none.
func runBy(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	return unitIn(string(text))
}

// unitIn reads the lines of a process's cgroups, HIERARCHY:CONTROLLERS:PATH. All
// but systemd's own hierarchy may be without the unit.
func unitIn(cgroups string) string {
	for line := range strings.Lines(cgroups) {
		if unit := path.Base(strings.TrimSpace(line)); strings.HasSuffix(unit, ".service") {
			return unit
		}
	}
	return ""
}
