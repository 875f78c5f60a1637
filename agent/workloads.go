package agent

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// workloadState is what the loop knows of one workload.
type workloadState struct {
	key  pod.ObjectKey
	seen time.Time // by the wall clock
	// record is what is stored; decisions are made of it.
	record *workload.Record
	// decided tells that a decision was made since podstead was started. Until
	// then the pods go on as they are recorded.
	decided bool
	// pods are wanted by the last decision, unreadable ones as they are
	// recorded. ended are those that are not wanted any more, with why, until
	// nothing of them is left.
	pods       map[pod.Key]*pod.Desired
	unreadable map[pod.Key]bool
	ended      map[pod.Key]string
	status     *workload.Status
	plan       []string
	// fetch are the images that it waits for, fetched what came of them, and
	// failed the fetches that failed.
	fetch   []workload.Fetch
	fetched map[workload.Image]workload.Fetched
	failed  map[workload.Image]plan.Failure
	storing storing
	wake    pod.Moment
	view    pod.WorkloadView
}

func newWorkloadState(key pod.ObjectKey, seen time.Time) *workloadState {
	return &workloadState{
		key: key, seen: seen, ended: map[pod.Key]string{},
		fetched: map[workload.Image]workload.Fetched{}, failed: map[workload.Image]plan.Failure{},
	}
}

// wants tells whether the last decision wants a pod.
func (ws *workloadState) wants(key pod.Key) bool { return ws.pods[key] != nil || ws.unreadable[key] }

// moving tells whether what is free, or who holds a port, could change what is
// decided.
func (ws *workloadState) moving() bool {
	return ws.record == nil || !ws.record.Rollout.Settled || ws.record.Held.Revision != ""
}

// workloadOf tells which workload a pod belongs to.
func (l *loop) workloadOf(key pod.Key) (pod.ObjectKey, bool) {
	if owner, derived := l.derived[key]; derived {
		return owner, true
	}
	ps := l.pods[key]
	if ps == nil {
		return pod.ObjectKey{}, false
	}
	recorded := ps.newest().Pod
	if recorded == nil {
		return pod.ObjectKey{}, false
	}
	return workload.Owner(recorded)
}

// workload returns the state of a workload, new if it was not known.
func (l *loop) workload(key pod.ObjectKey) *workloadState {
	ws := l.workloads[key]
	if ws == nil {
		ws = newWorkloadState(key, l.cfg.Now().Wall)
		l.workloads[key] = ws
		l.restless[key] = true
	}
	return ws
}

// isRolled tells the kinds of which pods are derived.
func isRolled(kind pod.Kind) bool { return kind.IsWorkload() && kind != pod.KindPod }

// adoptWorkloads makes those known to which pods belong.
func (l *loop) adoptWorkloads() {
	for key := range l.pods {
		if owner, derived := l.workloadOf(key); derived {
			l.workload(owner)
		}
	}
}

// mergeWorkloads notes which workloads are to be decided since something
// changed that concerns them.
func (l *loop) mergeWorkloads(before map[pod.ObjectKey]plan.ObjectWant) {
	for key, w := range l.objects {
		if isRolled(key.Kind) {
			l.workload(key)
			if !sameObjectWant(before[key], w) {
				l.restless[key] = true
			}
		}
	}
	for key, ws := range l.workloads {
		if _, still := l.objects[key]; !still || ws.moving() {
			l.restless[key] = true
		}
	}
}

func sameObjectWant(a, b plan.ObjectWant) bool {
	if (a.Object == nil) != (b.Object == nil) || a.Keep != b.Keep || a.Gone != b.Gone {
		return false
	}
	return a.Object == nil || a.Object.Content() == b.Object.Content() && a.Object.Origin == b.Object.Origin
}

// addDerived adds the pods of workloads to what is wanted. A manifest of a pod
// that names one of them loses, and is returned as a conflict.
func (l *loop) addDerived(wants map[pod.Key]plan.Want) []pod.Problem {
	var conflicts []pod.Problem
	for key := range l.pods {
		switch owner, derived := l.workloadOf(key); {
		case !derived:
		case !l.workloads[owner].decided:
			wants[key] = plan.Want{Keep: true}
		case wants[key].Desired == nil:
			wants[key] = plan.Want{Gone: owner.String() + " does not want it"}
		}
	}
	for _, owner := range sortedObjects(l.workloads) {
		ws := l.workloads[owner]
		for key, why := range ws.ended {
			if wants[key].Desired == nil {
				wants[key] = plan.Want{Gone: why}
			}
		}
		for key := range ws.unreadable {
			wants[key] = plan.Want{Keep: true}
		}
		for _, key := range sortedKeys(ws.pods) {
			if other := wants[key].Desired; other != nil {
				conflicts = append(conflicts, derivedConflict(other, owner))
			}
			wants[key] = plan.Want{Desired: ws.pods[key]}
		}
	}
	return conflicts
}

func derivedConflict(lost *pod.Desired, owner pod.ObjectKey) pod.Problem {
	return pod.Problem{
		Origin: lost.Origin, Severity: pod.Error, Reason: pod.ReasonConflict, Kind: pod.KindPod, Key: lost.Key,
		Field:       "metadata.name",
		Message:     fmt.Sprintf("pod %s is one of %s", lost.Key, owner),
		Got:         lost.Key.String(),
		Want:        "a name that no other pod has",
		Consequence: fmt.Sprintf("the pod of %s stays, this manifest is not used", owner),
	}
}

// decideWorkloads decides about the workloads to which something happened. In
// a drain for good what is wanted of them stays as it is.
func (l *loop) decideWorkloads(now pod.Stamp) {
	for key, ws := range l.workloads {
		if ws.wake != 0 && now.Moment >= ws.wake {
			ws.wake, l.restless[key] = 0, true
		}
	}
	if !l.workloadsWait() {
		return
	}
	keys := sortedObjects(l.restless)
	clear(l.restless)
	look := l.lookForWorkloads()
	for _, key := range keys {
		if ws := l.workloads[key]; ws != nil {
			l.decideWorkload(ws, look, now)
		}
	}
}

// workloadsWait tells whether workloads are to be decided now.
func (l *loop) workloadsWait() bool { return len(l.restless) > 0 && !l.removing() }

// removing tells whether the server is drained for good.
func (l *loop) removing() bool { return l.drain != nil && l.drain.Remove }

// allRestless has every workload decided again.
func (l *loop) allRestless() {
	for key := range l.workloads {
		l.restless[key] = true
	}
}

// decideWorkload decides about one workload. A decision that changes its
// record has its effect when that is stored.
func (l *loop) decideWorkload(ws *workloadState, look workloadLook, now pod.Stamp) {
	ws.wake = 0
	if ws.storing.busy || l.collecting(ws) {
		return // it is decided again when that is done
	}
	if at := ws.storing.again; at > now.Moment {
		ws.wake = at
		return
	}
	d := workload.Decide(l.rollouts, l.workloadWant(ws), l.workloadHave(ws, look), now)
	switch {
	case d.Keep:
		l.viewWorkload(ws)
	case d.Store:
		l.storeRecord(ws, d.Record, func(l *loop) { l.applyWorkload(ws, d) })
	default:
		l.applyWorkload(ws, d)
	}
}

func (l *loop) workloadWant(ws *workloadState) workload.Want {
	w := l.objects[ws.key]
	if w.Keep || w.Object != nil || w.Gone != "" {
		return workload.Want{Object: w.Object, Keep: w.Keep, Gone: w.Gone}
	}
	return workload.Want{Gone: "no manifest names it"}
}

// applyWorkload makes a decision what is wanted.
func (l *loop) applyWorkload(ws *workloadState, d workload.Decision) {
	before := ws.pods
	first := !ws.decided
	for key := range before {
		delete(l.derived, key)
	}
	for key := range ws.unreadable {
		delete(l.derived, key)
	}
	ws.decided, ws.status, ws.plan, ws.wake, ws.fetch = true, &d.Status, d.Plan, d.Wake, d.Fetch
	ws.pods = make(map[pod.Key]*pod.Desired, len(d.Pods))
	for _, p := range d.Pods {
		ws.pods[p.Key] = p
		l.derived[p.Key] = ws.key
		delete(ws.ended, p.Key)
	}
	ws.unreadable = map[pod.Key]bool{}
	for _, key := range d.Unreadable {
		ws.unreadable[key], l.derived[key] = true, ws.key
	}
	for _, e := range d.Ended {
		ws.ended[e.Key], l.derived[e.Key] = e.Why, ws.key
	}
	l.forgetEnded(ws)
	if first || !maps.EqualFunc(before, ws.pods, sameDesired) || len(d.Ended) > 0 {
		l.unmerged = true
	}
	for _, e := range d.Events {
		l.eventOf(ws.key, e.Type, e.Reason, e.Message)
		l.counts.countRollout(e.Reason)
	}
	l.keepFetched(ws)
	l.fetchFor(ws, l.cfg.Now().Moment)
	l.viewWorkload(ws)
	if ws.record == nil && len(ws.pods)+len(ws.ended)+len(ws.unreadable) == 0 && l.objects[ws.key].Object == nil && !l.objects[ws.key].Keep {
		delete(l.workloads, ws.key)
	}
}

// forgetEnded drops the pods of which nothing is left, or whose place was taken
// by one that is not the workload's.
func (l *loop) forgetEnded(ws *workloadState) {
	maps.DeleteFunc(ws.ended, func(key pod.Key, _ string) bool {
		gone := l.pods[key] == nil
		if !gone {
			recorded := l.pods[key].newest().Pod
			gone = recorded != nil && !ownedBy(recorded, ws.key)
		}
		if gone {
			delete(l.derived, key)
		}
		return gone
	})
}

func ownedBy(p *corev1.Pod, key pod.ObjectKey) bool {
	owner, derived := workload.Owner(p)
	return derived && owner == key
}

// rolloutSettings are what decisions about workloads know of this server.
func rolloutSettings(n pod.Node) workload.Settings {
	s := workload.DefaultSettings()
	s.NodeID, s.BootID = n.ID, n.BootID
	s.Node = &corev1.Node{}
	s.Node.Name, s.Node.UID, s.Node.Labels = n.Name, types.UID(n.ID), n.Labels
	return s
}

func sortedObjects[V any](m map[pod.ObjectKey]V) []pod.ObjectKey {
	return slices.SortedFunc(maps.Keys(m), pod.ObjectKey.Compare)
}
