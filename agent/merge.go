package agent

import (
	"slices"

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
		l.tellObstacle(key, l.wants[key], merged.Wants[key])
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
