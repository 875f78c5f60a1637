package source

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/podstead/podstead/pod"
)

// output publishes the states of one source, each only once.
type output struct {
	publish func(pod.SourceState)
	state   pod.SourceState
	sent    bool
}

func newOutput(name, kind, location string, priority int, publish func(pod.SourceState)) *output {
	return &output{publish: publish, state: pod.SourceState{
		Name: name, Kind: kind, Location: location, Priority: priority,
	}}
}

// restore sets what was loaded from disk, without publishing it.
func (o *output) restore(s saved) {
	o.state.Synced = true
	o.state.LastSuccess = s.Time
}

// success publishes what a ledger holds, if that is news. refresh makes the
// time of success alone news.
func (o *output) success(l ledger, extra []pod.Problem, held []pod.ObjectKey, refresh bool) {
	next := o.state
	next.Synced, next.Error, next.ErrorReason = true, "", ""
	next.Held = held
	fill(&next, l, extra)
	same := o.sent && equal(o.state, next)
	next.LastSuccess = time.Now()
	if same && !refresh {
		return
	}
	o.send(next)
}

// stale publishes what was restored, because the source is slow to answer.
func (o *output) stale(l ledger, extra []pod.Problem) {
	next := o.state
	fill(&next, l, extra)
	o.send(next)
}

// failure publishes that the source can't be read, if that is news.
func (o *output) failure(verb string, r *rejection, l ledger, extra []pod.Problem) {
	next := o.state
	what := "nothing of this source runs"
	switch keys := keysOf(l.objects()); {
	case len(keys) == 1:
		what = fmt.Sprintf("its %s stays as it is", called(keys[0]))
	case len(keys) > 1:
		what = fmt.Sprintf("its %d %s stay as they are", len(keys), noun(keys))
	case !next.Synced:
		what = "pods that run from it stay as they are"
	}
	next.Error = fmt.Sprintf("%s %s: %v; %s", verb, next.Location, r.err, what)
	next.ErrorReason = r.reason
	fill(&next, l, extra)
	if !o.sent || !equal(o.state, next) {
		o.send(next)
	}
}

func (o *output) send(next pod.SourceState) {
	o.state, o.sent = next, true
	o.publish(next)
}

func fill(s *pod.SourceState, l ledger, extra []pod.Problem) {
	s.Pods, s.Objects = l.split()
	s.Unreadable = l.unreadable()
	s.Problems = append(l.problems(), extra...)
}

// equal compares everything but the time.
func equal(a, b pod.SourceState) bool {
	return a.Synced == b.Synced &&
		a.Error == b.Error && a.ErrorReason == b.ErrorReason &&
		slices.EqualFunc(a.Pods, b.Pods, func(x, y pod.Desired) bool {
			return x.Pod == y.Pod && x.Key == y.Key && x.Origin == y.Origin
		}) &&
		slices.EqualFunc(a.Objects, b.Objects, func(x, y pod.Object) bool {
			return x.Content() == y.Content() && x.ObjectKey == y.ObjectKey && x.Origin == y.Origin
		}) &&
		slices.Equal(a.Unreadable, b.Unreadable) &&
		slices.Equal(a.Problems, b.Problems) &&
		slices.Equal(a.Held, b.Held)
}

// hold puts objects back that an older ledger wanted.
func (l ledger) hold(older ledger, keys []pod.ObjectKey) ledger {
	next := ledger{files: maps.Clone(l.files), wanted: slices.Clone(l.wanted), refused: l.refused}
	for _, e := range older.wanted {
		if slices.Contains(keys, e.ObjectKey) {
			f := next.files[e.file]
			f.objects = append(slices.Clone(f.objects), e.Object)
			next.files[e.file] = f
			next.wanted = append(next.wanted, e)
		}
	}
	sortEntries(next.wanted)
	return next
}
