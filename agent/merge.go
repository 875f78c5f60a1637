package agent

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// merge joins the sources anew and marks the pods whose want changed.
func (l *loop) merge() {
	l.unmerged = false
	sources := make([]pod.SourceState, 0, len(l.sources))
	for _, s := range l.sources {
		sources = append(sources, s)
	}
	owners := map[pod.Key]plan.Owner{}
	for key, ps := range l.pods {
		if !ps.empty() {
			owners[key] = ps.owner()
		}
	}
	merged := plan.Merge(sources, owners)
	l.applyDrain(merged.Wants, l.cfg.Now().Moment)
	l.admit(merged.Wants)
	for key := range merged.Wants {
		if !sameWant(l.wants[key], merged.Wants[key]) || l.pods[key] == nil {
			l.dirty[key] = true
		}
		if ps := l.pods[key]; ps != nil && edited(l.wants[key], merged.Wants[key]) {
			clear(ps.failed) // what failed may go well now
			ps.evicted = plan.Evictions{}
		}
	}
	for key := range l.wants {
		if _, still := merged.Wants[key]; !still {
			l.dirty[key] = true
		}
	}
	l.wants = merged.Wants
	l.setConflicts(merged.Conflicts)
}

// admit adds to the wants what must not start now. A pod whose work is over
// claims nothing.
func (l *loop) admit(wants map[pod.Key]plan.Want) {
	claims := make([]plan.Claim, 0, len(wants))
	now := l.cfg.Now().Moment
	for key, w := range wants {
		c := plan.Claim{Key: key}
		if w.Desired != nil {
			c.Wanted = w.Desired.Pod
		}
		if ps := l.pods[key]; ps != nil {
			c.Live = ps.livePod()
			if c.Live == nil && plan.Finished(w, l.have(ps), now) {
				continue
			}
			if w.Keep {
				c.Wanted = c.Live
			}
			if c.Live == nil && c.Wanted != nil {
				// Between two runs it keeps what it has.
				c.Live = ps.newest().Pod
			}
			c.UIDs = l.uids(ps)
		}
		claims = append(claims, c)
	}
	l.ports.wantPorts(claims, now)
	for key, verdict := range plan.Admit(claims, l.cfg.Node.Allocatable, l.ports.heard) {
		w := wants[key]
		w.Blocked, w.Waiting = verdict.Blocked, verdict.Waiting
		wants[key] = w
	}
}

// edited tells whether the manifest of a pod says something else than before.
func edited(before, after plan.Want) bool {
	return before.Desired != after.Desired && before.Desired != nil && after.Desired != nil &&
		!equality.Semantic.DeepEqual(before.Desired.Pod, after.Desired.Pod)
}

func sameWant(a, b plan.Want) bool {
	return sameDesired(a.Desired, b.Desired) && a.Keep == b.Keep && a.Gone == b.Gone && same(a.Halt, b.Halt) &&
		same(a.Blocked, b.Blocked) && same(a.Waiting, b.Waiting)
}

// sameDesired compares what a source lists; it lists what has not changed by
// the same pod, in a new list.
func sameDesired(a, b *pod.Desired) bool {
	return a == b || a != nil && b != nil && a.Key == b.Key && a.Pod == b.Pod && a.Origin == b.Origin
}

func same[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

func (l *loop) setConflicts(conflicts []pod.Problem) {
	if slices.Equal(l.conflicts, conflicts) {
		return
	}
	for _, c := range conflicts {
		if !slices.Contains(l.conflicts, c) {
			l.event(c.Key, warning, "ManifestConflict", c.String())
		}
		l.dirty[c.Key] = true
	}
	for _, c := range l.conflicts {
		l.dirty[c.Key] = true
	}
	l.conflicts = conflicts
}
