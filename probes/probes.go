// Package probes asks containers how they are: startup, liveness and readiness
// probes by HTTP, TCP, gRPC and by commands in the container. It knows nothing
// of containers or of pods' life: it is told which probes to make, and says
// what came of them.
//
// One goroutine keeps the schedule of all probes; an attempt has a goroutine of
// its own while it lasts. Nothing is asked twice at a time, what answers is
// bounded in time and size, and an attempt that podstead itself could not make
// counts neither way.
package probes

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/podstead/podstead/pod"
)

// Config says what a Runner works with.
type Config struct {
	// Exec runs a command in a running container and returns its exit code.
	// Output may be written to from several goroutines and takes any amount,
	// of which the first 10 KiB are kept. When ctx ends, Exec ends the command
	// and returns an error. An error that wraps pod.ErrUnavailable says that
	// the command could not be run for a reason that is not the container's,
	// such as a containerd that is down: the attempt then does not count.
	Exec func(ctx context.Context, containerID string, argv []string, output io.Writer) (exitCode int, err error)
	// Now reads the clock; CLOCK_BOOTTIME by its Moment.
	Now func() pod.Stamp
	// Judge hears when the outcome of a probe changes, and again of each
	// further failed attempt while it is failure, so that a failure that could
	// not be acted on is heard again. It is called from attempts' goroutines,
	// for one probe by one at a time and in order, and must not block for
	// long. A verdict may still come while the Set that ends its probe returns.
	Judge func(pod.ProbeVerdict)
}

// Runner makes probes. Its methods may be called from any goroutine.
type Runner struct {
	config Config
	// changed wakes Run when there may be something to begin before armed.
	changed chan struct{}

	mu     sync.Mutex
	probes map[pod.ProbeID]*probe
	due    schedule
	armed  pod.Moment
	lanes  map[bool]*lane // by whether a command runs in the container
	crowd  crowd
}

// New returns a Runner without probes.
func New(c Config) *Runner {
	return &Runner{
		config:  c,
		changed: make(chan struct{}, 1),
		probes:  map[pod.ProbeID]*probe{},
		armed:   never,
		lanes: map[bool]*lane{
			false: newLane(maxNetwork),
			true:  newLane(maxExec),
		},
	}
}

// What ends an attempt before it has an answer.
var (
	errTimeout = errors.New("the time is up")
	errStarved = errors.New("podstead itself did not get to run in time")
	errGone    = errors.New("the probe is not wanted any more")
)

// Run makes the probes that are set until ctx ends. It returns nil when all
// attempts have ended.
func (r *Runner) Run(ctx context.Context) error {
	var attempts sync.WaitGroup
	defer attempts.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-r.changed:
		}
		begun, sleep := r.begin(ctx)
		for _, attempt := range begun {
			attempts.Go(attempt)
		}
		timer.Reset(sleep)
	}
}

// Set tells the whole of what is to be probed. A probe that stays, the same in
// its id, handler, thresholds, period and address, keeps its counts and its
// schedule; one that changed starts anew; one that is not among targets ends,
// and what its last attempt finds is dropped. Set does not block. Of targets
// with the same id the first counts.
func (r *Runner) Set(targets []pod.ProbeTarget) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.Now().Moment
	wanted := make(map[pod.ProbeID]bool, len(targets))
	for _, t := range targets {
		if wanted[t.ProbeID] {
			continue
		}
		wanted[t.ProbeID] = true
		old := r.probes[t.ProbeID]
		if old != nil && old.keep(t, r.config.Exec) {
			continue
		}
		r.drop(old)
		r.add(t, now)
	}
	for id, p := range r.probes {
		if !wanted[id] {
			r.drop(p)
		}
	}
}

// Reports returns what is known of the probes of one run of a container:
// startup, liveness, readiness, as far as they are set.
func (r *Runner) Reports(container string) []pod.ProbeReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.Now()
	var reports []pod.ProbeReport
	for _, kind := range []pod.ProbeKind{pod.ProbeStartup, pod.ProbeLiveness, pod.ProbeReadiness} {
		if p := r.probes[pod.ProbeID{Container: container, Kind: kind}]; p != nil {
			reports = append(reports, p.report(now))
		}
	}
	return reports
}

// All returns what is known of all probes, by pod, container and kind.
func (r *Runner) All() []pod.ProbeReport {
	r.mu.Lock()
	now := r.config.Now()
	reports := make([]pod.ProbeReport, 0, len(r.probes))
	for _, p := range r.probes {
		reports = append(reports, p.report(now))
	}
	r.mu.Unlock()
	slices.SortFunc(reports, func(a, b pod.ProbeReport) int {
		return cmp.Or(
			cmp.Compare(a.Instance.Namespace, b.Instance.Namespace),
			cmp.Compare(a.Instance.Key.Name, b.Instance.Key.Name),
			cmp.Compare(a.Instance.Number, b.Instance.Number),
			cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Container, b.Container),
			cmp.Compare(a.Kind, b.Kind),
		)
	})
	return reports
}
