package source

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/podstead/podstead/pod"
)

// maxBackOff is how many intervals the time between polls may grow to while
// they fail.
const maxBackOff = 10

// headStart is for how long the pods kept on disk wait for the first answer,
// so that a server that is there does not see old pods started and replaced.
const headStart = time.Second

// URLConfig says which URL is read, and how.
type URLConfig struct {
	Name     string
	Priority int
	// URL is http or https, without user and password (use HeadersFile).
	URL string
	// Interval is the time between polls, 20 s by default. It varies by a
	// tenth at random, and doubles with each failure up to ten times itself.
	Interval time.Duration
	// CA is a file of PEM certificates that replaces the system's; Cert and
	// Key are a client certificate and its key (which only root may read).
	// They are read anew when they change. Empty means none.
	CA, Cert, Key string
	// HeadersFile holds lines "Name: value" that are sent along; only root
	// may read it. Its content is never shown. It is read anew when it
	// changes.
	HeadersFile string
	// MaxBytes bounds an answer after decompression; 10 MiB by default.
	MaxBytes int64
	// HeaderTimeout bounds the time to the answer's header, redirects
	// included, Timeout that to its end; 10 s and 30 s by default.
	HeaderTimeout, Timeout time.Duration
	// MinRate is how many bytes per second an answer must at least come at;
	// 1,000 by default.
	MinRate int64
	Guard   GuardConfig
	Parse   Parser
	Limits  Limits
	// Store keeps the last good objects on disk; nil keeps them in memory only.
	Store *Store
}

// URL is a source that polls an HTTP server for one file of manifests.
type URL struct {
	config URLConfig
	// origin is the URL without a password, for people.
	origin pod.Origin
}

// NewURL returns a source that does nothing until Run. It fails when the URL
// is none that can be polled.
func NewURL(config URLConfig) (*URL, error) {
	u, err := url.Parse(config.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("source %s: url: can't be parsed (want https://HOST/PATH)", config.Name)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("source %s: url: got %q (want https://HOST/PATH or http://HOST/PATH)", config.Name, u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("source %s: url: got a user in %q (put an Authorization header into the headers file)", config.Name, u.Redacted())
	case (config.Cert == "") != (config.Key == ""):
		return nil, fmt.Errorf("source %s: cert and key: got one of them (want both or none)", config.Name)
	}
	config.Interval = orDefault(config.Interval, 20*time.Second)
	config.MaxBytes = orDefault(config.MaxBytes, 10<<20)
	config.HeaderTimeout = orDefault(config.HeaderTimeout, 10*time.Second)
	config.Timeout = orDefault(config.Timeout, 30*time.Second)
	config.MinRate = orDefault(config.MinRate, 1000)
	return &URL{config: config, origin: pod.Origin{Source: config.Name, File: config.URL}}, nil
}

// Run polls until ctx ends, and then returns nil. It calls publish, from one
// goroutine, after every successful poll, and whenever anything else changed.
func (u *URL) Run(ctx context.Context, publish func(pod.SourceState)) error {
	r := u.newRun(publish)
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error {
		r.saver.run(inner)
		return nil
	})
	group.Go(func() error {
		r.loop(inner)
		return nil
	})
	return group.Wait()
}

// newRun starts from what is on disk.
func (u *URL) newRun(publish func(pod.SourceState)) *urlRun {
	r := &urlRun{
		config: u.config,
		origin: u.origin,
		output: newOutput(u.config.Name, KindURL, u.config.URL, u.config.Priority, publish),
		saver:  newSaver(u.config.Store, u.config.Name),
		guard:  newGuard(u.config.Guard),
		client: newClient(u.config),
	}
	var state saved
	var stored bool
	r.ledger, state, stored, r.storeProblem = r.saver.load(u.origin)
	if stored {
		r.output.restore(state)
	}
	return r
}

// urlRun is the state of one Run; only its loop touches it.
type urlRun struct {
	config URLConfig
	origin pod.Origin
	output *output
	saver  *saver
	guard  *guard
	client *client // belongs to the poll that is under way, if any
	ledger ledger
	flap   flapping

	storeProblem *pod.Problem
	held         []pod.ObjectKey
	rejected     *rejection // of the last poll
	failures     int        // polls in a row

	// validators and sum belong to the last answer that was taken whole.
	validators validators
	sum        [sha256.Size]byte
	taken      bool
}

// polled is the outcome of one request.
type polled struct {
	answer   answer
	rejected *rejection
}

func (r *urlRun) loop(ctx context.Context) {
	polls := make(chan polled, 1)
	poll := func() {
		ask := r.validators
		go func() {
			a, err := r.client.get(ctx, ask)
			polls <- polled{a, err}
		}()
	}
	poll()
	busy := true
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			if busy {
				<-polls // its request ends with ctx
			}
			r.client.close()
			return
		case p := <-polls:
			busy = false
			r.finish(p, time.Now())
			timer.Reset(r.pause())
		case err := <-r.saver.results:
			r.storeProblem = writeProblem(r.origin, err)
			r.show(false)
		case <-timer.C:
			if busy {
				r.startFromDisk()
				continue
			}
			poll()
			busy = true
		}
	}
}

// startFromDisk publishes what was kept on disk while the first answer is
// still awaited.
func (r *urlRun) startFromDisk() {
	if !r.output.sent && r.output.state.Synced {
		r.output.stale(r.ledger, r.extra())
	}
}

// pause is the time until the next poll.
func (r *urlRun) pause() time.Duration {
	pause := r.config.Interval
	for range r.failures {
		pause = min(2*pause, maxBackOff*r.config.Interval)
	}
	return time.Duration(float64(pause) * (0.9 + 0.2*rand.Float64()))
}

// finish takes the outcome of a poll.
func (r *urlRun) finish(p polled, now time.Time) {
	r.rejected = p.rejected
	if p.rejected == nil {
		r.rejected = r.take(p.answer, now)
	}
	if r.rejected != nil {
		r.failures++
		r.guard.forget()
		r.show(false)
		return
	}
	r.failures = 0
	r.show(true)
	r.saver.put(r.ledger)
}

// take makes an answer the content of the source.
func (r *urlRun) take(a answer, now time.Time) *rejection {
	sum := sha256.Sum256(a.body)
	if a.unchanged || r.taken && sum == r.sum && len(r.held) == 0 {
		r.flap.same()
		if !a.unchanged {
			r.validators = a.validators
		}
		return nil
	}
	parsed := r.config.Parse(a.body, r.origin)
	if rejected := rejectAnswer(parsed); rejected != nil {
		return rejected
	}
	next := r.ledger.next([]reading{{path: r.origin.File, parsed: parsed}}, r.config.Limits)
	wanted, omitted := r.ledger.omittedBy(next)
	r.held = r.guard.judge(wanted, omitted, now)
	r.ledger = next.hold(r.ledger, r.held)
	if !r.taken || sum != r.sum {
		r.flap.changed(sum)
	}
	r.taken, r.sum, r.validators = true, sum, a.validators
	if len(r.held) > 0 {
		// The guard needs the whole answer again, not "unchanged".
		r.validators = validators{}
	}
	return nil
}

// omittedBy returns the keys of this ledger, and those that next lacks.
func (l ledger) omittedBy(next ledger) (wanted, omitted []pod.ObjectKey) {
	stays := map[pod.ObjectKey]bool{}
	for _, e := range next.wanted {
		stays[e.ObjectKey] = true
	}
	for _, e := range l.wanted {
		wanted = append(wanted, e.ObjectKey)
		if !stays[e.ObjectKey] {
			omitted = append(omitted, e.ObjectKey)
		}
	}
	return wanted, omitted
}

// show publishes the present state.
func (r *urlRun) show(refresh bool) {
	switch {
	case r.rejected != nil:
		r.output.failure("get", r.rejected, r.ledger, r.extra())
	case r.taken:
		r.output.success(r.ledger, r.extra(), r.held, refresh)
	}
}

// extra are the problems that no manifest is to blame for.
func (r *urlRun) extra() []pod.Problem {
	var extra []pod.Problem
	if r.storeProblem != nil {
		extra = append(extra, *r.storeProblem)
	}
	if p := r.flap.problem(r.origin); p != nil {
		extra = append(extra, *p)
	}
	if n := len(r.held); n > 0 {
		what, kept := noun(keysOf(r.ledger.objects())), "the omitted pods keep running until then"
		if noun(r.held) != "pods" {
			kept = "the omitted objects stay as they are until then"
		}
		extra = append(extra, pod.Problem{
			Origin: r.origin, Severity: pod.Warning, Reason: pod.ReasonLimit,
			Message:     fmt.Sprintf("the answer omits %d of %d %s, more than one answer may remove", n, len(r.ledger.wanted), what),
			Want:        fmt.Sprintf("the same %s missing from consecutive answers for %v, or allowEmpty", what, r.guard.config.Confirm),
			Consequence: kept,
		})
	}
	return extra
}
