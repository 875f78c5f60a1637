// Package agent is the loop of podstead: one goroutine owns everything that
// is known of the pods, asks package plan what to do, runs operations beside
// itself, takes their results as facts, and publishes an immutable snapshot.
package agent

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// Config is what an Agent is made of.
type Config struct {
	Settings plan.Settings
	// Node is the server; its ID makes the UIDs of pods.
	Node pod.Node
	// Runtime describes the runtime as configured; Up, Error and Since are
	// filled in by the agent.
	Runtime pod.RuntimeState

	Containers Containers
	Images     Images
	Sandboxes  Sandboxes
	Network    Network
	Volumes    Volumes
	Cgroups    Cgroups
	Logs       Logs
	History    History
	Probes     Probes
	Hooks      Hooks
	Verdicts   Verdicts
	Disks      Disks
	GoodImages GoodImages
	Records    Records
	Services   Services
	Names      Names
	// ServiceRanges are those of Services' addresses, at most one of each
	// family; NameServers are addresses of them at which names are asked for.
	ServiceRanges []netip.Prefix
	NameServers   []netip.Addr
	// Collect bounds what images take.
	Collect plan.ImageSettings

	// Now reads CLOCK_BOOTTIME and the wall clock.
	Now func() pod.Stamp
	// Default brings a recorded pod up to the defaults of this version, so
	// that an upgrade compares like with like.
	Default func(*corev1.Pod)
	// Sources names the configured sources. Until one of them has published,
	// nothing that came from it is stopped; what came from a source that is
	// not among them is.
	Sources []string
	// Starts and Pulls limit how many pods are started, and how many images
	// fetched, at the same time; 4 and 3 when 0. As many pods as are started
	// may be torn down beside them.
	Starts, Pulls int
	// OperationTimeout bounds every operation except pulls; 60 s when 0.
	OperationTimeout time.Duration
	// RelistInterval is how often everything is looked at although no event
	// asked for it; 60 s when 0.
	RelistInterval time.Duration

	Log *zap.Logger
}

// Agent keeps pods as their manifests say. Its methods may be called from any
// goroutine.
type Agent struct {
	cfg      Config
	inbox    chan fact
	ended    chan struct{}
	snapshot atomic.Pointer[pod.Snapshot]
	mu       sync.Mutex
	changed  chan struct{} // guarded by mu; closed at the next change
}

// fact is something that became known; it is applied by the loop's goroutine.
type fact func(*loop)

// New returns an agent that does nothing until Run.
func New(cfg Config) *Agent {
	if cfg.Starts == 0 {
		cfg.Starts = 4
	}
	if cfg.Pulls == 0 {
		cfg.Pulls = 3
	}
	if cfg.OperationTimeout == 0 {
		cfg.OperationTimeout = time.Minute
	}
	if cfg.RelistInterval == 0 {
		cfg.RelistInterval = time.Minute
	}
	a := &Agent{cfg: cfg, inbox: make(chan fact, 256), ended: make(chan struct{}), changed: make(chan struct{})}
	a.snapshot.Store(&pod.Snapshot{Node: cfg.Node, Runtime: cfg.Runtime})
	return a
}

// Latest returns the newest snapshot; it is never nil.
func (a *Agent) Latest() *pod.Snapshot { return a.snapshot.Load() }

// Changed returns a channel that is closed when a snapshot newer than the one
// that Latest returns after this call is published.
func (a *Agent) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

func (a *Agent) publish(s *pod.Snapshot) {
	a.snapshot.Store(s)
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.changed)
	a.changed = make(chan struct{})
}

// Publish hands over everything that a source wants now.
func (a *Agent) Publish(s pod.SourceState) {
	a.send(func(l *loop) { l.takeSource(s) })
}

// Forget drops a source that was removed from the configuration: its pods
// are stopped.
func (a *Agent) Forget(source string) {
	a.send(func(l *loop) { l.forgetSource(source) })
}

// SetRuntime publishes what became known of the runtime's version.
func (a *Agent) SetRuntime(version string, warnings []string) {
	a.send(func(l *loop) { l.setRuntime(version, warnings) })
}

// SetHostIPs says which addresses the host has now, the primary one first.
func (a *Agent) SetHostIPs(ips []string) {
	a.send(func(l *loop) { l.setHostIPs(ips) })
}

// ImagesChanged says that images were imported: pulls that wait are tried at
// once.
func (a *Agent) ImagesChanged() { a.send((*loop).imagesChanged) }

// Warn records a warning about the node among the events.
func (a *Agent) Warn(reason, message string) {
	a.send(func(l *loop) { l.event(pod.Key{}, warning, reason, message) })
}

// Restart restarts the running containers of a pod, or only the named one. It
// returns a *NotFound if there is no such thing.
func (a *Agent) Restart(ctx context.Context, key pod.Key, container string) error {
	answer := make(chan error, 1)
	a.send(func(l *loop) { answer <- l.restart(key, container) })
	select {
	case err := <-answer:
		return err
	case <-a.ended:
		return context.Canceled
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Alive returns nil when the loop has taken up and applied a fact that was sent
// after the call, which shows that it turns; an error when ctx ends before.
func (a *Agent) Alive(ctx context.Context) error {
	answer := make(chan struct{})
	select {
	case a.inbox <- func(*loop) { close(answer) }:
	case <-ctx.Done():
		return fmt.Errorf("the agent's loop takes nothing up: %w", ctx.Err())
	case <-a.ended:
		return context.Canceled
	}
	select {
	case <-answer:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the agent's loop does not answer: %w", ctx.Err())
	case <-a.ended:
		return context.Canceled
	}
}

// StoredImages lists the images that are there now, each with why it is not
// collected and when it was last used.
func (a *Agent) StoredImages(ctx context.Context) ([]pod.StoredImage, error) {
	stored, err := a.cfg.Images.StoredImages(ctx)
	if err != nil {
		return nil, err
	}
	answer := make(chan []pod.StoredImage, 1)
	a.send(func(l *loop) { answer <- l.withReasons(stored, l.cfg.Now().Moment) })
	select {
	case stored = <-answer:
		return stored, nil
	case <-a.ended:
		return nil, context.Canceled
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// send gives a fact to the loop, or drops it if the loop has ended.
func (a *Agent) send(f fact) {
	select {
	case a.inbox <- f:
	case <-a.ended:
	}
}

// Run keeps the pods until ctx ends. Containers go on without it. It must be
// called once.
func (a *Agent) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer close(a.ended)

	l := newLoop(a, func(work func(context.Context)) { workers.Go(func() { work(ctx) }) })
	l.spawn(l.watch)
	l.loadVerdicts()
	l.loadGood()
	l.loadRecords()
	l.loadServices()
	if err := l.loadHistory(); err != nil {
		l.counts.change().Recoveries++
		l.event(pod.Key{}, warning, "StateRecovered", fmt.Sprintf("the history of instances could not be read and is begun anew: %v", err))
	}
	l.relist()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(l.step())
		select {
		case f := <-a.inbox:
			f(l)
			l.drainInbox()
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// NotFound says that a named object does not exist.
type NotFound struct{ What string }

func (n *NotFound) Error() string { return n.What + " not found" }
