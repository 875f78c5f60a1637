package daemon

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/cmd/podstead/internal/intake"
	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/manifest/source"
	"github.com/podstead/podstead/pod"
)

// sink takes what sources want.
type sink interface {
	Publish(pod.SourceState)
	Forget(source string)
}

// runner is a source of either kind.
type runner interface {
	Run(ctx context.Context, publish func(pod.SourceState)) error
}

// sources runs the configured sources and follows changes of the
// configuration.
type sources struct {
	to    sink
	store *source.Store
	log   *zap.Logger
	sets  chan []config.Source
	// making turns configuration into a source; tests replace it.
	making func(config.Source, int, *source.Store) (runner, error)
}

func newSources(to sink, store *source.Store, log *zap.Logger) *sources {
	return &sources{to: to, store: store, log: log, sets: make(chan []config.Source, 1), making: makeSource}
}

// Set replaces the sources. It does not wait.
func (s *sources) Set(wanted []config.Source) {
	select {
	case <-s.sets:
	default:
	}
	s.sets <- wanted
}

// running is one source at work.
type running struct {
	config   config.Source
	priority int
	stop     context.CancelFunc
	done     chan struct{}
}

func (r *running) end() {
	r.stop()
	<-r.done
}

// Run runs the given sources, and those of each Set, until ctx ends.
func (s *sources) Run(ctx context.Context, first []config.Source) error {
	var all sync.WaitGroup
	defer all.Wait()
	now := map[string]*running{}
	wanted := first
	for {
		s.change(ctx, &all, now, wanted)
		select {
		case wanted = <-s.sets:
		case <-ctx.Done():
			return nil
		}
	}
}

// change ends the sources that are not wanted as they are, forgets those that
// are not wanted at all, and starts what is missing.
func (s *sources) change(ctx context.Context, all *sync.WaitGroup, now map[string]*running, wanted []config.Source) {
	keep := map[string]bool{}
	for i, w := range wanted {
		r := now[w.Name]
		if r != nil && r.priority == i && reflect.DeepEqual(r.config, w) {
			keep[w.Name] = true
		}
	}
	for name, r := range now {
		if !keep[name] {
			r.end()
			delete(now, name)
		}
		if !keep[name] && !namesOf(wanted)[name] {
			s.to.Forget(name)
		}
	}
	for i, w := range wanted {
		if !keep[w.Name] {
			now[w.Name] = s.start(ctx, all, w, i)
		}
	}
}

func namesOf(list []config.Source) map[string]bool {
	names := map[string]bool{}
	for _, s := range list {
		names[s.Name] = true
	}
	return names
}

func (s *sources) start(ctx context.Context, all *sync.WaitGroup, c config.Source, priority int) *running {
	ctx, stop := context.WithCancel(ctx)
	r := &running{config: c, priority: priority, stop: stop, done: make(chan struct{})}
	all.Go(func() {
		defer close(r.done)
		s.runOne(ctx, c, priority)
	})
	return r
}

// The time between attempts to run a source that fails: it doubles from
// retryFirst to retryMax, and begins anew once the source ran longer than that.
const (
	retryFirst = time.Second
	retryMax   = 30 * time.Second
)

// runOne runs a source until ctx ends. One that can't be made, or that fails,
// is tried again for ever; why is published whenever it is news, so that its
// pods are kept and the reason is seen.
func (s *sources) runOne(ctx context.Context, c config.Source, priority int) {
	said, wait := "", retryFirst
	publish := func(state pod.SourceState) {
		said = ""
		s.to.Publish(state)
	}
	for {
		began := time.Now()
		err := s.attempt(ctx, c, priority, publish)
		if err == nil || ctx.Err() != nil {
			return
		}
		if err.Error() != said {
			said = err.Error()
			s.unreadable(c, priority, err)
		}
		if time.Since(began) > retryMax {
			wait = retryFirst
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, retryMax)
	}
}

func (s *sources) attempt(ctx context.Context, c config.Source, priority int, publish func(pod.SourceState)) error {
	src, err := s.making(c, priority, s.store)
	if err != nil {
		return err
	}
	return src.Run(ctx, publish)
}

func (s *sources) unreadable(c config.Source, priority int, err error) {
	s.log.Error("a source of manifests can't be read; its pods stay as they are, and it is tried again", zap.String("source", c.Name), zap.Error(err))
	s.to.Publish(pod.SourceState{Name: c.Name, Kind: kind(c), Location: location(c), Priority: priority,
		Error: err.Error(), ErrorReason: source.ReasonUnreadable})
}

func kind(c config.Source) string {
	if c.Directory != nil {
		return source.KindDirectory
	}
	return source.KindURL
}

func location(c config.Source) string {
	if c.Directory != nil {
		return c.Directory.Path
	}
	return c.URL.URL
}

func makeSource(c config.Source, priority int, store *source.Store) (runner, error) {
	may := level(c)
	if d := c.Directory; d != nil {
		return source.NewDirectory(source.DirectoryConfig{
			Name: c.Name, Priority: priority, Path: d.Path, Rescan: time.Duration(d.Rescan), RequireMount: d.RequireMount,
			Parse: intake.Parser(0, may), Limits: intake.Limits(may), Store: store,
		}), nil
	}
	u := c.URL
	src, err := source.NewURL(source.URLConfig{
		Name: c.Name, Priority: priority, URL: u.URL, Interval: time.Duration(u.Interval),
		CA: u.CA, Cert: u.Cert, Key: u.Key, HeadersFile: u.HeadersFile, MaxBytes: int64(u.MaxBytes),
		Guard: source.GuardConfig{AllowEmpty: u.AllowEmpty},
		Parse: intake.Parser(int(u.MaxBytes), may), Limits: intake.Limits(may), Store: store,
	})
	if err != nil {
		return nil, fmt.Errorf("make source: %w", err)
	}
	return src, nil
}

func level(c config.Source) policy.Level {
	l := policy.Level{
		PodSecurity: c.PodSecurity, AllowHostPaths: c.AllowHostPaths, Namespaces: c.Namespaces,
		MaxPods: c.MaxPods, MaxContainers: c.MaxContainers,
	}
	for _, p := range c.AllowHostPorts {
		l.AllowHostPorts = append(l.AllowHostPorts, policy.PortRange(p))
	}
	return l
}
