package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Drain empties the server of running pods, for good or until it ends.
type Drain struct {
	// Reason is shown to people, such as "the server shuts down".
	Reason string
	// Remove takes the pods away with all that they have. Otherwise what runs
	// is stopped and nothing is started, and records, volumes and places in
	// the network stay: when the drain or the boot is over, the pods go on.
	Remove bool
	// Since is when it began.
	Since pod.Moment
	// GracePeriod bounds the grace of all pods together unless they are
	// removed. The last GracePeriodCriticalPods of it are for the critical
	// ones, which run until then or until no other pod does (as in the
	// kubelet's graceful node shutdown).
	GracePeriod, GracePeriodCriticalPods time.Duration
}

// Halt says that what runs of a pod is to be stopped for a time, and nothing
// of it started.
type Halt struct {
	// Since is when the drain began, Deadline when its grace ends at the
	// latest.
	Since, Deadline pod.Moment
	Reason          string
}

// Drained is a pod as a drain sees it.
type Drained struct {
	Critical bool
	// Live tells that containers of it may run.
	Live bool
}

// Apply changes what is wanted of every pod. It returns when it has to be
// applied again even if nothing happens before; 0 for never. Pods that are in
// wants and not in pods have nothing that runs and are not critical.
func (d Drain) Apply(wants map[pod.Key]Want, pods map[pod.Key]Drained, now pod.Moment) (wake pod.Moment) {
	others := d.Since.Add(d.GracePeriod - d.GracePeriodCriticalPods)
	last := now >= others || !othersLive(pods)
	for key, w := range wants {
		switch critical := pods[key].Critical; {
		case d.Remove:
			w = Want{Gone: d.Reason}
		case critical && !last:
			wake = others
			continue
		case critical:
			w.Halt = &Halt{Since: d.Since, Deadline: d.Since.Add(d.GracePeriod), Reason: d.Reason}
		default:
			w.Halt = &Halt{Since: d.Since, Deadline: others, Reason: d.Reason}
		}
		wants[key] = w
	}
	return wake
}

// othersLive tells whether anything lives that is not critical.
func othersLive(pods map[pod.Key]Drained) bool {
	for _, p := range pods {
		if p.Live && !p.Critical {
			return true
		}
	}
	return false
}

// systemCritical is the priority from which on Kubernetes holds a pod for
// critical.
const systemCritical = 2_000_000_000

// Critical tells whether a pod is needed by others until the end: by its
// priority class or its priority, as Kubernetes has them.
func Critical(p *corev1.Pod) bool {
	if p.Spec.Priority != nil && *p.Spec.Priority >= systemCritical {
		return true
	}
	return p.Spec.PriorityClassName == "system-node-critical" || p.Spec.PriorityClassName == "system-cluster-critical"
}

// halt takes one step to stop what runs of an instance that goes on later: in
// the order of a termination, when no Service sends it traffic any more, within
// the pod's grace and the deadline.
func (p *planner) halt(l *life) {
	h, since, begun := p.want.Halt, p.now, false
	for i := range l.containers {
		if c := &l.containers[i]; h.began(c) {
			since, begun = min(since, c.Stopping.Since.Moment), true
		}
	}
	p.Leaving = append(p.Leaving, l.number)
	if len(l.live()) > 0 && !begun && p.serves(l, h.half()) {
		return
	}
	grace := max(min(l.grace(), h.Deadline.Sub(since)), 0)
	for _, c := range l.live() {
		switch {
		case c.State == pod.StateCreated:
			p.try(Remove{ID: c.ID, Container: c.Name})
		case c.State == pod.StateExited:
			p.try(Reap{ID: c.ID, Container: c.Name})
		case c.State == pod.StateRunning && signalled(c) && !h.began(c):
			// It was told to stop before, with a grace of its own.
			p.killWhenDue(c, min(c.Stopping.Since.Moment.Add(c.Stopping.Grace), h.Deadline))
		case c.State == pod.StateRunning:
			p.stopOne(l, c, pod.StopContainer, since.Add(grace), grace, h.Reason)
		}
	}
}

// half is when half of the time of a halt is over. So long the end of a pod
// waits for its traffic at most: the rest is for the pod.
func (h *Halt) half() pod.Moment { return h.Since.Add(h.Deadline.Sub(h.Since) / 2) }

// began tells whether the stop of a container was begun for this very halt.
func (h *Halt) began(c *pod.Container) bool {
	return c.Stopping != nil && c.Stopping.Reason == h.Reason && c.Stopping.Since.Moment >= h.Since
}
