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
	l.adoptWorkloads()
	objects := plan.MergeObjects(sources, l.objectOwners())
	before := l.objects
	l.objects = l.keptObjects(objects.Wants)
	l.mergeWorkloads(before)
	merged := plan.Merge(sources, l.podOwners())
	conflicts := slices.Concat(merged.Conflicts, objects.Conflicts, l.addDerived(merged.Wants))
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
	l.wantServices()
	l.setConflicts(conflicts)
}

// podOwners says of each pod that belongs to no workload which manifest it has
// now.
func (l *loop) podOwners() map[pod.Key]plan.Owner {
	owners := map[pod.Key]plan.Owner{}
	for key, ps := range l.pods {
		if _, derived := l.workloadOf(key); !derived && !ps.empty() {
			owners[key] = ps.owner()
		}
	}
	return owners
}

// objectOwners says of each object that is no pod which manifest it has now.
func (l *loop) objectOwners() map[pod.ObjectKey]plan.Owner {
	owners := map[pod.ObjectKey]plan.Owner{}
	for key, w := range l.objects {
		if w.Object != nil {
			owners[key] = ownerOf(w.Object.Origin)
		}
	}
	for key, ws := range l.workloads {
		if _, known := owners[key]; !known {
			owners[key] = l.workloadOwner(ws)
		}
	}
	return owners
}

// workloadOwner is the manifest that a workload had when it was decided last,
// or that its pods were made of.
func (l *loop) workloadOwner(ws *workloadState) plan.Owner {
	if ws.record != nil {
		return ownerOf(ws.record.Manifest.Origin)
	}
	for _, key := range sortedKeys(l.pods) {
		if owner, derived := l.workloadOf(key); derived && owner == ws.key {
			return l.pods[key].owner()
		}
	}
	return plan.Owner{}
}

func ownerOf(o pod.Origin) plan.Owner { return plan.Owner{Source: o.Source, File: o.File} }

// keptObjects gives those of which nobody can tell whether they are wanted as
// they were wanted last.
func (l *loop) keptObjects(wants map[pod.ObjectKey]plan.ObjectWant) map[pod.ObjectKey]plan.ObjectWant {
	for key, w := range wants {
		if before := l.objects[key]; w.Keep && w.Object == nil && before.Object != nil {
			w.Object = before.Object
			wants[key] = w
		}
	}
	return wants
}

func (l *loop) setConflicts(conflicts []pod.Problem) {
	if slices.Equal(l.conflicts, conflicts) {
		return
	}
	for _, c := range conflicts {
		if !slices.Contains(l.conflicts, c) {
			l.eventOf(c.Object(), warning, "ManifestConflict", c.String())
		}
	}
	for _, c := range slices.Concat(conflicts, l.conflicts) {
		if c.Kind == pod.KindPod {
			l.dirty[c.Key] = true
		}
	}
	l.unpublished = true
	l.conflicts = conflicts
}
