package agent

import (
	"maps"
	"strings"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// counts is what the loop counts for metrics, since it can't be told from the
// state of pods.
type counts struct {
	now pod.Counters
	// shared tells that a snapshot has the maps of now: they are copied before
	// the next change.
	shared bool
	// listed is when everything was last listed, pulls when pulls began.
	listed pod.Moment
	pulls  map[string]pod.Moment
}

// change returns the counters to be changed.
func (c *counts) change() *pod.Counters {
	n := &c.now
	if c.shared || n.Operations == nil {
		n.Restarts, n.Operations, n.Pulls = copied(n.Restarts), copied(n.Operations), copied(n.Pulls)
		n.SourceStates, n.Leftovers = copied(n.SourceStates), copied(n.Leftovers)
		n.ImagesCollected, n.Rollouts = copied(n.ImagesCollected), copied(n.Rollouts)
		c.shared = false
	}
	return n
}

func copied[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// countRollout counts what an event tells of a rollout.
func (c *counts) countRollout(reason string) {
	results := map[string]pod.RolloutResult{
		"RolloutComplete": pod.RolloutComplete, "RolloutFailed": pod.RolloutFailed, "RolledBack": pod.RolloutRolledBack,
	}
	if result, ended := results[reason]; ended {
		c.change().Rollouts[result]++
	}
}

// counters are those of the next snapshot.
func (l *loop) counters() pod.Counters {
	l.counts.shared = true
	l.counts.now.Queued, l.counts.now.Running = len(l.waiting), l.pullsUnderWay()
	for _, ps := range l.pods {
		l.counts.now.Running += len(ps.busy)
	}
	return l.counts.now
}

// timed counts an operation that begins now; the result is called at its end.
func (l *loop) timed(a plan.Action) func(error) {
	began := l.cfg.Now().Moment
	kind := operationKind(a)
	return func(err error) {
		n := l.counts.change()
		o := n.Operations[kind]
		o.Seconds = o.Seconds.With(l.cfg.Now().Moment.Sub(began))
		if err != nil {
			o.Errors++
		}
		n.Operations[kind] = o
	}
}

// operationKind is the first word of an action's name.
func operationKind(a plan.Action) string {
	kind, _, _ := strings.Cut(a.Name(), " ")
	return kind
}

// countPull counts an image that was fetched, or could not be. One that was
// present all the time was not.
func (l *loop) countPull(a plan.Pull, note string, err error) {
	began, fetched := l.counts.pulls[a.Image]
	delete(l.counts.pulls, a.Image)
	if !fetched {
		return
	}
	n := l.counts.change()
	switch {
	case err != nil:
		n.Pulls[pod.PullFailure]++
	case note != "":
		n.Pulls[pod.PullPresent]++
	default:
		n.Pulls[pod.PullSuccess]++
		n.PullSeconds = n.PullSeconds.With(l.cfg.Now().Moment.Sub(began))
	}
}

// countStart counts restarts, and how long pods take to start.
func (l *loop) countStart(ps *podState, a plan.Start) {
	if a.Role == pod.RolePause {
		return
	}
	i := l.instance(ps, a.Instance)
	if a.Attempt > 0 {
		before := ps.containers[pod.ContainerID(l.uid(i), a.Container, a.Attempt-1)]
		l.counts.change().Restarts[restartCause(before)]++
		return
	}
	for c := range a.Desired.Pod.Spec.Containers {
		run := ps.containers[pod.ContainerID(l.uid(i), a.Desired.Pod.Spec.Containers[c].Name, 0)]
		if run.Started.IsZero() {
			return
		}
	}
	began := ps.seen.Moment
	if ps.startCounted {
		began = ps.sandboxes[a.Instance].Created.Moment
	}
	ps.startCounted = true
	n := l.counts.change()
	n.StartSeconds = n.StartSeconds.With(l.cfg.Now().Moment.Sub(began))
}

func restartCause(before pod.Container) pod.RestartCause {
	switch {
	case before.Exit == nil || before.Exit.Reason == pod.ExitUnknown:
		return pod.RestartRuntime
	case before.Exit.Reason == pod.ExitOOMKilled:
		return pod.RestartOOM
	case before.Stopping != nil && before.Stopping.Failure:
		return pod.RestartLiveness
	case before.Stopping != nil:
		return pod.RestartStopped
	default:
		return pod.RestartExit
	}
}

// countRelist counts a listing that began at a moment and has ended.
func (l *loop) countRelist(began pod.Moment) {
	n := l.counts.change()
	now := l.cfg.Now().Moment
	n.Relists = n.Relists.With(now.Sub(began))
	if l.counts.listed != 0 {
		n.RelistGaps = n.RelistGaps.With(began.Sub(l.counts.listed))
	}
	l.counts.listed = began
	l.unpublished = true
}

func (l *loop) countSource(s pod.SourceState) {
	result := s.ErrorReason
	if result == "" {
		result = "success"
	}
	l.counts.change().SourceStates[pod.SourceResult{Source: s.Name, Result: result}]++
}

// containerName names a container of one instance of a pod.
type containerName struct {
	instance int
	name     string
}

// countOOM remembers with the pod that a run ended for want of memory, since
// the kernel's own count goes with the run.
func (ps *podState) countOOM(c pod.Container) {
	if c.Exit != nil && c.Exit.Reason == pod.ExitOOMKilled {
		ps.oomKills[containerName{c.Instance.Number, c.Name}]++
	}
}
