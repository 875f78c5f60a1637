package agent

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// maxHistory bounds the history; what exceeds it is forgotten, which costs
// nothing but that a number may be used again by a pod long gone.
const maxHistory = 10_000

// History keeps the highest instance number of pods that are gone, by
// "namespace/name". Of the pods of a workload whose revision is gone too it
// keeps one for all, by the workload ("Deployment namespace/name"): the names
// of such pods are new with each revision, and would never end. It is all that
// the agent itself stores: everything else can be observed.
type History interface {
	// Load returns what was saved last; a damaged record is put aside, an
	// empty history and an error are returned.
	Load() (map[string]int, error)
	// Save replaces the history durably. Each is newer than those of lower
	// versions, and one that comes after a newer one does nothing.
	Save(numbers map[string]int, version int) error
}

func (l *loop) loadHistory() error {
	h, err := l.cfg.History.Load()
	if h != nil {
		l.history = h
	}
	return err
}

// highest is the highest instance number that a pod may have had.
func (l *loop) highest(key pod.Key) int {
	n := l.history[key.String()]
	if owner, derived := l.workloadOf(key); derived {
		n = max(n, l.history[owner.String()])
	}
	return n
}

// remember adds an instance to the history and returns a copy to be saved, with
// its version.
func (l *loop) remember(i pod.Instance, p *corev1.Pod) (numbers map[string]int, version int) {
	name := i.Key.String()
	if p != nil {
		if owner, derived := workload.Owner(p); derived && !l.knowsRevision(owner, p) {
			name = owner.String()
		}
	}
	l.history[name] = max(l.history[name], i.Number)
	for key := range l.history {
		if len(l.history) <= maxHistory {
			break
		}
		if key != name {
			delete(l.history, key)
		}
	}
	l.historyVersion++
	return maps.Clone(l.history), l.historyVersion
}

// knowsRevision tells whether the revision of a pod is on record, so that its
// name may come again.
func (l *loop) knowsRevision(owner pod.ObjectKey, p *corev1.Pod) bool {
	ws := l.workloads[owner]
	if ws == nil || ws.record == nil {
		return false
	}
	label := workload.HashLabel(owner.Kind)
	return label == "" || ws.record.Revision(p.Labels[label]) != nil
}

// namesMissed is after how many names that were never used no further ones are
// looked for: a workload takes them in order, but those that others have.
const namesMissed = 100

// gather puts the numbers of pods of revisions that are on record no more into
// that of their workload. A record that is nil has none.
func (l *loop) gather(owner pod.ObjectKey, before, after *workload.Record) {
	if before == nil {
		return
	}
	for _, hash := range before.Hashes() {
		if after.Has(hash) {
			continue
		}
		for index, missed := 0, 0; missed < namesMissed; index++ {
			name := pod.Key{Namespace: owner.Namespace, Name: workload.PodName(owner, hash, index)}.String()
			n, known := l.history[name]
			if !known {
				missed++
				continue
			}
			delete(l.history, name)
			l.history[owner.String()] = max(l.history[owner.String()], n)
		}
	}
}
