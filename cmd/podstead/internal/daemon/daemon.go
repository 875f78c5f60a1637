// Package daemon is podstead run: it builds everything from the
// configuration, runs it, and ends it in order. Only here do concrete types
// meet.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cgroups"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/metrics"
	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/network/names"
	"github.com/podstead/podstead/probes"
	"github.com/podstead/podstead/runtime"
	"github.com/podstead/podstead/runtime/containerd"
	"github.com/podstead/podstead/systemd"
	"github.com/podstead/podstead/volumes"
)

// Options are what the command line gives to the daemon.
type Options struct {
	// ConfigFile is read at the start and by SIGHUP.
	ConfigFile string
	// ContainerdUnit is the unit that runs containerd in mode own; podstead runs
	// it itself when it is empty.
	ContainerdUnit string
	// NamesUnit is the unit that runs the server of names; podstead runs it itself
	// when it is empty.
	NamesUnit string
	Version   api.Version
	// Log gets the daemon's own log.
	Log *os.File
}

// daemon is everything that runs.
type daemon struct {
	options Options
	log     *logger
	config  *settings
	// reloading lets one reload end before the next.
	reloading sync.Mutex

	// oomFloor is the lowest oom_score_adj that containers can get, nil for any.
	oomFloor *int
	cgroups  *cgroups.Manager
	network  *network.Network
	names    *names.Keeper
	// namesDown is why there is no server of names, nil while there is one.
	namesDown atomic.Pointer[string]
	probes    *probes.Runner
	// warned has a sign when there are other warnings.
	warned     chan struct{}
	containerd *containerd.Server // nil when another runs it
	runtime    *runtime.Runtime
	disks      *disks
	archives   *runtime.ArchiveFolder
	agent      *agent.Agent
	sources    *sources
	api        *api.Server
	metrics    *metrics.Server // nil when switched off
	volumes    *volumes.Volumes
	notifier   *systemd.Notifier
	inhibitor  *systemd.Inhibitor // nil when switched off
	// shutdownWarning is why pods may not get all their grace at a shutdown.
	shutdownWarning atomic.Pointer[string]
	// leave: what podstead left behind is to be taken away at its end.
	leave bool
}

// Run is podstead until ctx ends or SIGTERM or SIGINT comes; a second signal
// ends the process at once. A configuration that can't be used is a
// *config.Error.
func Run(ctx context.Context, o Options) error {
	cfg, err := load(o.ConfigFile)
	if err != nil {
		return err
	}
	d, closing, err := open(o, cfg)
	if err != nil {
		return err
	}
	defer closing()
	return d.run(ctx)
}

// open takes the state folder for this process alone and builds everything;
// closing gives the folder back.
func open(o Options, cfg *config.Configuration) (d *daemon, closing func(), err error) {
	log := newLogger(cfg.Log, o.Log)
	captureLogrus(log.Logger)
	// Modes are set as they are meant, whatever umask we were started with.
	unix.Umask(0o022)
	if err := protectSelf(); err != nil {
		return nil, nil, err
	}
	if err := makeFolders(cfg); err != nil {
		return nil, nil, err
	}
	unlock, err := lock(cfg.StateDir)
	if err != nil {
		return nil, nil, err
	}
	if d, err = build(o, cfg, log); err != nil {
		unlock()
		return nil, nil, err
	}
	return d, func() {
		unlock()
		log.sync()
	}, nil
}

// load reads the configuration and refuses a file that others can write.
func load(file string) (*config.Configuration, error) {
	cfg, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	return cfg, trusted(file)
}

func (d *daemon) run(ctx context.Context) error {
	d.log.Info("podstead starts", zap.String("version", d.options.Version.Version),
		zap.String("config", d.options.ConfigFile), zap.String("containerd", d.config.running().Runtime.Address))
	ctx, end := context.WithCancel(ctx)
	defer end()
	if drain, wanted := d.shutdownDrain(); wanted && d.shutdownBegun(ctx) {
		d.log.Info("the server shuts down: no pod is started")
		d.agent.BeginDrain(drain)
	}
	group, ctx := errgroup.WithContext(ctx)
	if d.containerd != nil {
		group.Go(func() error { return d.containerd.Run(ctx) })
	}
	group.Go(func() error { return d.runtime.Run(ctx) })
	group.Go(func() error { return d.agent.Run(ctx) })
	group.Go(func() error { return d.sources.Run(ctx, d.config.running().Sources) })
	group.Go(func() error { return d.archives.Run(ctx) })
	group.Go(func() error { return d.followHostIPs(ctx) })
	group.Go(func() error { return d.network.Run(ctx) })
	group.Go(func() error { return d.names.Run(ctx) })
	group.Go(func() error { return d.probes.Run(ctx) })
	group.Go(func() error { return d.api.Run(ctx) })
	if d.metrics != nil {
		group.Go(func() error { return d.metrics.Run(ctx) })
	}
	group.Go(func() error { return d.tellOfRuntime(ctx) })
	group.Go(func() error { return d.notify(ctx) })
	if d.inhibitor != nil {
		group.Go(func() error { return d.inhibitor.Run(ctx) })
	}
	group.Go(func() error { return d.obeySignals(ctx, end) })
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	if err == nil && d.leave {
		err = d.leaveNothing()
	}
	if err != nil {
		d.log.Error("podstead ends", zap.Error(err))
		return err
	}
	d.log.Info("podstead has ended")
	return nil
}

// followHostIPs keeps the agent's idea of the host's addresses. Without it
// podstead goes on with those of its start.
func (d *daemon) followHostIPs(ctx context.Context) error {
	if err := network.WatchHostIPs(ctx, d.agent.SetHostIPs); err != nil && ctx.Err() == nil {
		d.log.Warn("changes of the host's addresses are not noticed", zap.Error(err))
	}
	return nil
}

// notify tells the service manager that podstead is ready once the API
// answers, and how it goes after that.
func (d *daemon) notify(ctx context.Context) error {
	select {
	case <-d.api.Listening():
	case <-ctx.Done():
		return nil
	}
	return d.notifier.Run(ctx)
}

// tellOfRuntime tells the agent, whenever containerd comes up or the network's
// warnings are others, which one it is and what this host can't do.
func (d *daemon) tellOfRuntime(ctx context.Context) error {
	told := false
	for {
		changed := d.agent.Changed()
		up := d.agent.Latest().Runtime.Up
		if up && !told {
			if version, err := d.runtime.Version(ctx); err == nil {
				d.agent.SetRuntime(version, append(d.warnings(), d.vulnerable(ctx, version)...))
				told = true
			}
		}
		told = told && up
		select {
		case <-changed:
		case <-d.warned:
			told = false
		case <-ctx.Done():
			return nil
		}
	}
}

// warnings tell what this host can't do.
func (d *daemon) warnings() []string {
	warnings := slices.Clone(d.cgroups.Capabilities().Missing)
	if w := d.unspared(); w != "" {
		warnings = append(warnings, w)
	}
	if d.containerd != nil {
		if w := d.containerd.Status().Warning; w != "" {
			warnings = append(warnings, w)
		}
	}
	if w := d.shutdownWarning.Load(); w != nil && *w != "" {
		warnings = append(warnings, *w)
	}
	if w := d.namesDown.Load(); w != nil {
		warnings = append(warnings, *w)
	}
	return append(warnings, d.network.Warnings()...)
}

// warn lets the warnings be told anew.
func (d *daemon) warn() {
	select {
	case d.warned <- struct{}{}:
	default: // there is a sign already
	}
}

// vulnerable names what is known to be vulnerable below podstead.
func (d *daemon) vulnerable(ctx context.Context, containerd string) []string {
	warnings := runtime.VulnerableVersion("containerd", containerd)
	program, version, err := d.runtime.OCIRuntime(ctx)
	if err != nil {
		return append(warnings, fmt.Sprintf("the version of the OCI runtime is not known: %v", err))
	}
	return append(warnings, runtime.VulnerableVersion(program, version)...)
}

// leaveNothing ends what outlives podstead otherwise, after its pods were
// drained.
func (d *daemon) leaveNothing() error {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	if d.containerd != nil {
		if err := d.containerd.Stop(ctx); err != nil {
			return fmt.Errorf("end containerd: %w", err)
		}
	}
	if err := d.removeNames(ctx); err != nil {
		return err
	}
	if err := d.network.RemoveAll(ctx); err != nil {
		return fmt.Errorf("remove the rules of the network: %w", err)
	}
	if err := d.cgroups.RemoveRoot(ctx); err != nil {
		return fmt.Errorf("remove the cgroups: %w", err)
	}
	return nil
}
