package probes

import (
	"container/heap"
	"context"
	"hash/fnv"
	"math"
	"time"

	"github.com/podstead/podstead/pod"
)

const (
	// never is later than every moment.
	never = pod.Moment(math.MaxInt64)
	// alone is how many probes whose time is past may come in a second and be
	// made at once. More are what a restart of podstead finds, and are spread.
	alone = 8
	// spread is the longest time over which these are spread.
	spread = time.Second
	// firstRetry is how soon an attempt that could not be made is made again;
	// then twice as late each time, at most after the period.
	firstRetry = time.Second
)

// schedule holds the probes that wait for their time, the earliest first.
type schedule []*probe

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].next < s[j].next }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push is for container/heap.
func (s *schedule) Push(x any) {
	p := x.(*probe)
	p.index = len(*s)
	*s = append(*s, p)
}

// Pop is for container/heap.
func (s *schedule) Pop() any {
	old := *s
	last := len(old) - 1
	p := old[last]
	old[last] = nil
	*s = old[:last]
	p.index = notDue
	return p
}

// begin takes what is due and has room, and says how long there is nothing
// more to begin.
func (r *Runner) begin(ctx context.Context) (begun []func(), sleep time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.Now().Moment
	for len(r.due) > 0 && r.due[0].next <= now {
		p := heap.Pop(&r.due).(*probe)
		r.lanes[p.trial.inside].join(p)
	}
	for _, l := range r.lanes {
		for p := l.take(); p != nil; p = l.take() {
			attemptCtx, cancel := context.WithCancelCause(ctx)
			p.cancel = cancel
			a := attempt{cancel: cancel, probe: p, trial: p.trial, instance: p.target.Instance}
			begun = append(begun, func() { r.finish(a, r.make(attemptCtx, a)) })
		}
	}
	r.armed = never
	if len(r.due) == 0 {
		return begun, math.MaxInt64
	}
	r.armed = r.due[0].next
	return begun, r.armed.Sub(now)
}

// wait puts a probe into the schedule.
func (r *Runner) wait(p *probe, next pod.Moment) {
	p.next = next
	heap.Push(&r.due, p)
	if next < r.armed {
		r.wake()
	}
}

func (r *Runner) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *Runner) add(t pod.ProbeTarget, now pod.Moment) {
	p := newProbe(t, r.config.Exec)
	r.probes[t.ProbeID] = p
	r.wait(p, r.first(&t, now))
}

// drop ends a probe; p may be nil.
func (r *Runner) drop(p *probe) {
	if p == nil {
		return
	}
	p.gone = true
	if p.cancel != nil {
		p.cancel(errGone)
	}
	if p.index != notDue {
		heap.Remove(&r.due, p.index)
	}
	delete(r.probes, p.target.ProbeID)
}

// first is when a probe is made for the first time: after its delay, and at
// once when that is past.
func (r *Runner) first(t *pod.ProbeTarget, now pod.Moment) pod.Moment {
	due := t.Started.Moment.Add(time.Duration(t.Probe.InitialDelaySeconds) * time.Second)
	if due > now {
		return due
	}
	if r.crowd.join(now) <= alone {
		return now
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.Container + "/" + string(t.Kind)))
	return now.Add(time.Duration(h.Sum64() % uint64(min(period(t), spread))))
}

// crowd counts what comes within a second.
type crowd struct {
	since pod.Moment
	count int
}

func (c *crowd) join(now pod.Moment) int {
	if now.Sub(c.since) >= time.Second {
		*c = crowd{since: now}
	}
	c.count++
	return c.count
}

// following is when a probe is made again after an attempt that was due at
// due: a whole number of periods later, so that nothing drifts and what was
// missed is not made up for. Once, it is moved by a tenth of the period at
// most, onto a time that probes share: waking up costs more than a probe.
func following(due, now pod.Moment, period time.Duration) pod.Moment {
	missed := max(0, now.Sub(due)/period)
	next := due.Add((missed + 1) * period)
	g := pod.Moment(grid(period))
	if g == 0 {
		return next
	}
	shared := (next + g/2) / g * g
	if shared <= now {
		shared += g
	}
	return shared
}

// grid is how far the times are apart at which probes of a period are made; 0
// for periods below a second, which are left alone.
func grid(period time.Duration) time.Duration {
	if period < time.Second {
		return 0
	}
	return min(period/5, 2*time.Second)
}

// retry is when a probe is made again after so many attempts in a row that
// could not be made.
func retry(now pod.Moment, period time.Duration, attempts int) pod.Moment {
	wait := firstRetry
	for ; attempts > 1 && wait < period; attempts-- {
		wait *= 2
	}
	return now.Add(min(wait, period))
}

func period(t *pod.ProbeTarget) time.Duration {
	if t.Period > 0 {
		return t.Period
	}
	return time.Duration(max(1, t.Probe.PeriodSeconds)) * time.Second
}
