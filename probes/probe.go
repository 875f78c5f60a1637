package probes

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/podstead/podstead/pod"
)

const (
	// notDue is the index of a probe that is not in the schedule.
	notDue = -1
	// maxRecent is how many attempts are remembered.
	maxRecent = 5
)

// probe is a target and what is known of it; the Runner's lock guards it.
type probe struct {
	target pod.ProbeTarget
	trial  trial
	index  int // in the schedule
	next   pod.Moment
	gone   bool
	cancel context.CancelCauseFunc // of the attempt under way

	outcome                    pod.ProbeOutcome
	last                       pod.ProbeOutcome // of what counted
	streak                     int
	since                      pod.Stamp // the first attempt of the streak
	unmade                     int       // attempts in a row that could not be made
	succeeded, failed, unknown uint64
	took                       pod.Histogram
	recent                     []pod.ProbeAttempt
}

func newProbe(t pod.ProbeTarget, exec execFunc) *probe {
	return &probe{target: t, trial: prepare(&t, exec), index: notDue}
}

// keep tells whether t is this very probe, and takes over what else it says:
// the container may have been changed in place.
func (p *probe) keep(t pod.ProbeTarget, exec execFunc) bool {
	o := &p.target
	if o.Period != t.Period || o.Host != t.Host || !equality.Semantic.DeepEqual(o.Probe, t.Probe) {
		return false
	}
	if o.Spec != t.Spec {
		p.trial = prepare(&t, exec)
	}
	p.target = t
	return true
}

// count takes the result of an attempt and returns the verdict on it, if
// there is one: by Kubernetes' rule the outcome changes after so many equal
// results in a row as the threshold says, those that don't count left out.
func (p *probe) count(a pod.ProbeAttempt) (pod.ProbeVerdict, bool) {
	p.remember(a)
	threshold := 1
	switch a.Result {
	case pod.ProbeUnknown:
		p.unknown++
		p.unmade++
		return pod.ProbeVerdict{}, false
	case pod.ProbeSuccess:
		p.succeeded++
		threshold = int(p.target.Probe.SuccessThreshold)
	case pod.ProbeFailure:
		p.failed++
		threshold = int(p.target.Probe.FailureThreshold)
	}
	p.unmade = 0
	p.took = p.took.With(a.Took)
	if a.Result != p.last {
		p.last, p.streak, p.since = a.Result, 0, a.At
	}
	p.streak++
	again := p.outcome == pod.ProbeFailure && a.Result == pod.ProbeFailure
	if !again && (p.streak < threshold || p.outcome == a.Result) {
		return pod.ProbeVerdict{}, false
	}
	p.outcome = a.Result
	return pod.ProbeVerdict{ProbeID: p.target.ProbeID, Outcome: a.Result, Message: a.Message, At: a.At}, true
}

func (p *probe) remember(a pod.ProbeAttempt) {
	if len(p.recent) > 0 && p.recent[0].Message == a.Message {
		a.Message = p.recent[0].Message // one copy of what is said again and again
	}
	if len(p.recent) == maxRecent {
		p.recent = p.recent[:maxRecent-1]
	}
	p.recent = slices.Insert(p.recent, 0, a)
}

func (p *probe) report(now pod.Stamp) pod.ProbeReport {
	r := pod.ProbeReport{
		ProbeID: p.target.ProbeID, Instance: p.target.Instance, Name: p.target.Spec.Name,
		Outcome: p.outcome, Succeeded: p.succeeded, Failed: p.failed, Unknown: p.unknown, Took: p.took,
		Streak: p.streak, Since: p.since, Recent: slices.Clone(p.recent),
	}
	if p.cancel == nil {
		r.Next = pod.Stamp{Moment: p.next, Wall: now.Wall.Add(p.next.Sub(now.Moment))}
	}
	return r
}
