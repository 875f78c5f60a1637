package plan

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

func (p *planner) verdict(c *pod.Container, kind pod.ProbeKind) pod.ProbeVerdict {
	return p.have.Verdicts[pod.ProbeID{Container: c.ID, Kind: kind}]
}

func (p *planner) outcome(c *pod.Container, kind pod.ProbeKind) pod.ProbeOutcome {
	return p.verdict(c, kind).Outcome
}

// probe is a probe of a container as last recorded, nil if it has none.
func probe(c *pod.Container, kind pod.ProbeKind) *corev1.Probe {
	spec := c.Spec()
	if spec == nil {
		return nil
	}
	switch kind {
	case pod.ProbeStartup:
		return spec.StartupProbe
	case pod.ProbeLiveness:
		return spec.LivenessProbe
	default:
		return spec.ReadinessProbe
	}
}

// started tells whether a run counts as started (status.started): it runs, its
// postStart hook is over and its startup probe has succeeded.
func (p *planner) started(c *pod.Container) bool {
	return c.Live() && p.hooked(c, pod.HookPostStart, c.Started.Moment) &&
		(probe(c, pod.ProbeStartup) == nil || p.outcome(c, pod.ProbeStartup) == pod.ProbeSuccess)
}

// isReady tells whether a run is ready: started, and found so by its readiness
// probe. The probe goes on to judge while the container is being stopped; one
// without a probe is ready until then.
func (p *planner) isReady(c *pod.Container) bool {
	switch {
	case c.State != pod.StateRunning || !p.started(c):
		return false
	case probe(c, pod.ProbeReadiness) == nil:
		return c.Stopping == nil
	default:
		return p.outcome(c, pod.ProbeReadiness) == pod.ProbeSuccess
	}
}

// failure is the stop of a running container that failed by its postStart
// hook, startup or liveness probe; its Reason is empty if none failed.
func (p *planner) failure(c *pod.Container) Stop {
	limit := grace(c.Pod)
	if p.outcome(c, pod.HookPostStart) == pod.ProbeFailure && handler(c, pod.HookPostStart) != nil {
		return Stop{Grace: limit, Failure: true, Reason: "its postStart hook failed: " + p.verdict(c, pod.HookPostStart).Message}
	}
	for _, kind := range []pod.ProbeKind{pod.ProbeStartup, pod.ProbeLiveness} {
		spec := probe(c, kind)
		if spec == nil || p.outcome(c, kind) != pod.ProbeFailure {
			continue
		}
		if own := spec.TerminationGracePeriodSeconds; own != nil {
			limit = time.Duration(*own) * time.Second
		}
		return Stop{Grace: limit, Failure: true, Reason: fmt.Sprintf("its %s probe failed: %s", kind, p.verdict(c, kind).Message)}
	}
	return Stop{}
}

// Probed lists the probes that are to be made of a pod now, in order. Of a run
// that has not started only the startup probe is made; readiness goes on while
// it is being stopped, liveness and startup don't (as in the kubelet).
func Probed(h Have, now pod.Moment) []pod.ProbeTarget {
	p := planner{have: h, now: now, Decision: &Decision{}}
	var targets []pod.ProbeTarget
	lives := instances(h)
	for i := range lives {
		l := &lives[i]
		for j := range l.containers {
			c := &l.containers[j]
			if c.State != pod.StateRunning || c.Pod == nil || !p.hooked(c, pod.HookPostStart, c.Started.Moment) {
				continue
			}
			for _, kind := range p.probes(c) {
				targets = append(targets, pod.ProbeTarget{
					ProbeID: pod.ProbeID{Container: c.ID, Kind: kind}, Instance: c.Instance,
					Spec: c.Spec(), Probe: probe(c, kind), Period: pod.ProbePeriod(c.Pod, c.Name, kind),
					Host: l.host(c), Started: c.Started,
				})
			}
		}
	}
	return targets
}

func (p *planner) probes(c *pod.Container) []pod.ProbeKind {
	kinds := []pod.ProbeKind{pod.ProbeLiveness, pod.ProbeReadiness}
	if !p.started(c) {
		kinds = []pod.ProbeKind{pod.ProbeStartup}
	}
	var due []pod.ProbeKind
	for _, kind := range kinds {
		if probe(c, kind) != nil && (c.Stopping == nil || kind == pod.ProbeReadiness) {
			due = append(due, kind)
		}
	}
	return due
}
