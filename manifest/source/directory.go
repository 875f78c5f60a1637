package source

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/podstead/podstead/pod"
)

const (
	// scanGap and changeGap keep bursts of events from becoming bursts of
	// scans and of snapshots. Both are well below what a user may notice.
	scanGap   = 20 * time.Millisecond
	changeGap = 50 * time.Millisecond
	// firstWait is for how long the first snapshot waits for files that are
	// being written while podstead starts.
	firstWait = time.Second
)

// DirectoryConfig says which directory is read, and how.
type DirectoryConfig struct {
	Name     string
	Priority int
	// Path is absolute. It may be a symbolic link, and may appear, vanish and
	// be replaced at any time.
	Path string
	// Rescan is how often everything is looked at without being told of a
	// change; 20 s by default.
	Rescan time.Duration
	// Poll replaces Rescan while the kernel gives no notice of changes,
	// because it has no inotify instance or watch left; 1 s by default.
	Poll time.Duration
	// Settle is for how long a file must be left alone before it is read,
	// unless it was renamed into place, and how long it must be away before
	// it counts as removed; 100 ms by default.
	Settle time.Duration
	// ReadTimeout is after what time a file system counts as hanging; 5 s by
	// default.
	ReadTimeout time.Duration
	// RequireMount refuses the directory while no file system is mounted on
	// it, so that the empty directory below a missing disk removes nothing.
	RequireMount bool
	// MaxBytes is the largest manifest; 1 MiB by default.
	MaxBytes int64
	Parse    Parser
	Limits   Limits
	// Store keeps the last good objects on disk; nil keeps them in memory only.
	Store *Store
}

// Directory is a source that reads the manifests in one directory: regular
// files (or links to such) named *.yaml, *.yml or *.json, not starting with a
// dot, not in folders below it. Only root may be able to write there.
type Directory struct{ config DirectoryConfig }

// NewDirectory returns a source that does nothing until Run.
func NewDirectory(config DirectoryConfig) *Directory {
	config.Rescan = orDefault(config.Rescan, 20*time.Second)
	config.Poll = orDefault(config.Poll, time.Second)
	config.Settle = orDefault(config.Settle, 100*time.Millisecond)
	config.ReadTimeout = orDefault(config.ReadTimeout, 5*time.Second)
	config.MaxBytes = orDefault(config.MaxBytes, 1<<20)
	return &Directory{config: config}
}

// Run reads the directory until ctx ends, and then returns nil. It calls
// publish, from one goroutine, whenever anything in the state changed, and
// after every rescan with the new time of success. It returns without waiting
// for a file system that hangs.
func (d *Directory) Run(ctx context.Context, publish func(pod.SourceState)) error {
	notify, err := newInotify()
	if err != nil {
		notify = nil
	}
	return d.newRun(notify, err, publish).run(ctx)
}

// newRun starts from what is on disk. notify is nil when the kernel gives no
// notice of changes, for the reason of watchError.
func (d *Directory) newRun(notify *inotify, watchError error, publish func(pod.SourceState)) *directoryRun {
	r := &directoryRun{
		config:     d.config,
		origin:     pod.Origin{Source: d.config.Name, File: d.config.Path},
		output:     newOutput(d.config.Name, KindDirectory, d.config.Path, d.config.Priority, publish),
		saver:      newSaver(d.config.Store, d.config.Name),
		notify:     notify,
		watchError: watchError,
		scans:      make(chan scan, 1),
	}
	var state saved
	var stored bool
	r.ledger, state, stored, r.storeProblem = r.saver.load(r.origin)
	if stored {
		r.output.restore(state)
	}
	r.scanner = newScanner(d.config, notify, r.ledger)
	return r
}

// directoryRun is the state of one Run; only its loop touches it.
type directoryRun struct {
	config  DirectoryConfig
	origin  pod.Origin
	output  *output
	saver   *saver
	notify  *inotify // nil: polling
	scanner *scanner // belongs to the scan that is under way, if any
	ledger  ledger

	storeProblem *pod.Problem
	watchError   error

	scans    chan scan
	started  time.Time // of the scan under way; zero when there is none
	hanging  bool      // it is, and that was published
	next     time.Time // of the next scan
	earliest time.Time // the next scan must not start before
	rescan   time.Time // the next scan that doesn't need a reason
	periodic bool      // the scan under way is one of those
	first    time.Time // until when the first snapshot may wait
}

func (r *directoryRun) run(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	var changed chan struct{}
	if r.notify != nil {
		changed = r.notify.changed
		group.Go(r.notify.run)
	}
	group.Go(func() error {
		r.saver.run(inner)
		return nil
	})
	group.Go(func() error {
		r.loop(inner, changed)
		if r.notify != nil {
			return r.notify.close()
		}
		return nil
	})
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("watch %s: %w", r.config.Path, err)
	}
	return nil
}

func (r *directoryRun) loop(ctx context.Context, changed <-chan struct{}) {
	r.next = time.Now()
	r.first = r.next.Add(firstWait)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(r.wake()))
		select {
		case <-ctx.Done():
			return
		case <-changed:
			r.next = earliest(r.next, time.Now())
		case s := <-r.scans:
			r.finish(s)
		case err := <-r.saver.results:
			r.storeProblem = writeProblem(r.origin, err)
			r.next = earliest(r.next, time.Now())
		case <-timer.C:
			r.tick(time.Now())
		}
	}
}

// wake is when something is due.
func (r *directoryRun) wake() time.Time {
	if !r.started.IsZero() {
		if r.hanging {
			return r.started.Add(24 * time.Hour) // nothing but its end
		}
		return r.started.Add(r.config.ReadTimeout)
	}
	wake := earliest(r.next, r.rescan)
	if wake.Before(r.earliest) {
		return r.earliest
	}
	return wake
}

func (r *directoryRun) tick(now time.Time) {
	if now.Before(r.wake()) {
		return
	}
	if !r.started.IsZero() {
		r.hanging = true
		r.output.failure("read directory", &rejection{ReasonTimeout,
			fmt.Errorf("the file system does not answer within %v", r.config.ReadTimeout)}, r.ledger, r.extra())
		return
	}
	r.start(now)
}

// start begins a scan in a goroutine of its own. It is not waited for, since
// it may hang in the kernel for ever; it touches nothing but the scanner.
func (r *directoryRun) start(now time.Time) {
	var renamed map[string]bool
	if r.notify != nil {
		renamed = r.notify.take().renamed
	}
	r.started, r.next = now, time.Time{}
	r.periodic = !r.rescan.IsZero() && !now.Before(r.rescan)
	scanner, scans := r.scanner, r.scans
	go func() { scans <- scanner.scan(renamed) }()
}

// finish takes the outcome of a scan.
func (r *directoryRun) finish(s scan) {
	now := time.Now()
	r.earliest = r.started.Add(scanGap)
	r.started, r.hanging = time.Time{}, false
	r.next = earliest(r.next, s.again)
	if r.notify != nil {
		r.watchError = s.watchError
	}
	if r.rescan.IsZero() || r.periodic {
		r.rescan = now.Add(r.period())
	}
	if s.rejection != nil {
		r.output.failure("read directory", s.rejection, r.ledger, r.extra())
		return
	}
	r.accept(s, now)
}

func (r *directoryRun) accept(s scan, now time.Time) {
	changed := false
	for _, reading := range s.readings {
		changed = changed || !reading.same
	}
	if changed || len(s.readings) != len(r.ledger.files) {
		r.earliest = now.Add(changeGap)
	}
	r.ledger = r.ledger.next(s.readings, r.config.Limits)
	if !s.settled && !r.output.sent && now.Before(r.first) {
		// What was removed or renamed while podstead was down is not known
		// yet; a snapshot of before could start what is not wanted any more.
		return
	}
	r.output.success(r.ledger, r.extra(), nil, r.periodic)
	r.saver.put(r.ledger)
}

// period is the time between scans without a reason.
func (r *directoryRun) period() time.Duration {
	if r.watchError != nil {
		return min(r.config.Poll, r.config.Rescan)
	}
	return r.config.Rescan
}

// extra are the problems that no manifest is to blame for.
func (r *directoryRun) extra() []pod.Problem {
	var extra []pod.Problem
	if r.storeProblem != nil {
		extra = append(extra, *r.storeProblem)
	}
	if r.watchError != nil {
		extra = append(extra, pod.Problem{
			Origin: r.origin, Severity: pod.Warning, Reason: pod.ReasonLimit,
			Message:     "the kernel gives no notice of changes: " + r.watchError.Error(),
			Want:        "larger fs.inotify.max_user_instances and fs.inotify.max_user_watches",
			Consequence: fmt.Sprintf("changes are found by looking every %v", r.period()),
		})
	}
	return extra
}
