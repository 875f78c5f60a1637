package plan_test

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// probe lets startup probes succeed; it tells whether one did.
func (w *world) probe() bool {
	if w.slow || w.runtimeDown {
		return false
	}
	found := false
	for _, t := range plan.Probed(w.have(), w.now) {
		if t.Kind == pod.ProbeStartup && w.verdicts[t.ProbeID].Outcome == pod.ProbeUnknown {
			w.verdict(t.Container, t.Kind, pod.ProbeSuccess)
			found = true
		}
	}
	return found
}

func (w *world) verdict(id string, kind pod.ProbeKind, outcome pod.ProbeOutcome) {
	key := pod.ProbeID{Container: id, Kind: kind}
	w.verdicts[key] = pod.ProbeVerdict{ProbeID: key, Outcome: outcome, Message: "as the world has it", At: w.stamp()}
}

// judged puts a verdict on the running run of a container.
func (w *world) judged(name string, kind pod.ProbeKind, outcome pod.ProbeOutcome) bool {
	for id, c := range w.containers {
		if c.Name == name && c.State == pod.StateRunning {
			w.verdict(id, kind, outcome)
			return true
		}
	}
	return false
}

func (w *world) known(c pod.Container, kind pod.ProbeKind) bool {
	return w.verdicts[pod.ProbeID{Container: c.ID, Kind: kind}].Outcome != pod.ProbeUnknown
}

func lifecycle(c pod.Container) corev1.Lifecycle {
	if s := c.Spec(); s != nil && s.Lifecycle != nil {
		return *s.Lifecycle
	}
	return corev1.Lifecycle{}
}

// graceFrom is from when the grace of a container counts.
func (w *world) graceFrom(c pod.Container) pod.Moment {
	if lifecycle(c).PreStop != nil {
		return c.Stopping.Since.Moment
	}
	return w.sigterm[c.ID]
}

// judgeHook: hooks run in containers that live, and a verdict is final.
func (w *world) judgeHook(a plan.Hook) {
	c := w.containers[a.ID]
	if c.State != pod.StateRunning || w.known(c, a.Kind) {
		w.violate("%s: the container is %s, the hook over: %v", a, c.State, w.known(c, a.Kind))
	}
	if a.Kind == pod.HookPreStop && (c.Stopping == nil || !c.Stopping.Signalled.IsZero()) {
		w.violate("%s without the intent to stop, or after the signal", a)
	}
}

// judgeStop: only what failed is stopped for a failure (S14), and the signal
// comes after the preStop hook, or after the grace.
func (w *world) judgeStop(a plan.Stop, c pod.Container) {
	failed := false
	for _, kind := range []pod.ProbeKind{pod.ProbeStartup, pod.ProbeLiveness, pod.HookPostStart} {
		failed = failed || w.verdicts[pod.ProbeID{Container: a.ID, Kind: kind}].Outcome == pod.ProbeFailure
	}
	// What was begun is carried on, whatever the probe says meanwhile.
	if begun := c.Stopping != nil && c.Stopping.Failure; a.Failure && !failed && !begun {
		w.violate("S14: %s although nothing failed", a)
	}
	if a.Hold || lifecycle(c).PreStop == nil || a.Grace == 0 || w.known(c, pod.HookPreStop) {
		return
	}
	least := a.Grace
	if sleep := lifecycle(c).PreStop.Sleep; sleep != nil {
		least = min(least, time.Duration(sleep.Seconds)*time.Second)
	}
	cutShort := w.halt != nil && w.now >= w.halt.Deadline
	if since, begun := w.stopBegun(c, a.Scope); !cutShort && (!begun || w.now < since.Add(least)) && !late(c, a) {
		w.violate("S9: %s before its preStop hook is over", a)
	}
}

// stopBegun is when the stop of a container, or of its whole pod, was begun.
func (w *world) stopBegun(c pod.Container, scope pod.StopScope) (since pod.Moment, begun bool) {
	for _, o := range w.containers {
		mine := o.ID == c.ID || scope == pod.StopPod && o.Instance == c.Instance && o.Stopping != nil && o.Stopping.Scope == pod.StopPod
		if mine && o.Stopping != nil && (!begun || o.Stopping.Since.Moment < since) {
			since, begun = o.Stopping.Since.Moment, true
		}
	}
	return since, begun
}

// late tells whether a sidecar is told to stop when the pod's grace is over.
func late(c pod.Container, a plan.Stop) bool {
	return (c.Role == pod.RoleSidecar || c.Role == pod.RolePause) && a.Scope == pod.StopPod
}

// judgeStarted: before the first app container of a sandbox every sidecar has
// started, by its probe.
func (w *world) judgeStarted(a plan.Start, spec *corev1.Pod) {
	sandbox := w.sandboxes[a.Instance].ID
	for _, c := range w.containers {
		if c.Role == pod.RoleApp && c.Sandbox == sandbox {
			return
		}
	}
	for i := range spec.Spec.InitContainers {
		init := &spec.Spec.InitContainers[i]
		if pod.InitRole(init) != pod.RoleSidecar || init.StartupProbe == nil {
			continue
		}
		ok := false
		for _, c := range w.containers {
			ok = ok || c.Name == init.Name && c.Sandbox == sandbox && w.known(c, pod.ProbeStartup)
		}
		if !ok {
			w.violate("S10: %s before sidecar %s has started", a, init.Name)
		}
	}
}

// unready lists the running containers that are not shown as ready.
func (w *world) unready() string {
	var names []string
	for _, v := range plan.Views(w.settings, w.want, w.have(), w.now) {
		for _, list := range [][]corev1.ContainerStatus{v.Status.InitContainerStatuses, v.Status.ContainerStatuses} {
			for _, c := range list {
				if c.State.Running != nil && !c.Ready && pod.RoleOf(v.Spec.Pod, c.Name) != pod.RoleInit {
					names = append(names, c.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
