package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// maxHook bounds a postStart hook, for which Kubernetes knows no bound.
const maxHook = time.Hour

// Judged hands over the verdict of a probe. A failure that goes on is handed
// over again and again, since it is not believed while the runtime can't be
// asked.
func (a *Agent) Judged(v pod.ProbeVerdict) {
	a.send(func(l *loop) { l.judged(v) })
}

// judged believes a verdict of a run that is known. Nothing fails while the
// runtime can't be asked: a server whose containerd hangs is in trouble
// enough.
func (l *loop) judged(v pod.ProbeVerdict) {
	ps := l.podOf(v.Container)
	before := l.verdicts[v.ProbeID]
	if ps == nil || v.Outcome == pod.ProbeFailure && !l.runtime.Up {
		return
	}
	if before.Outcome == v.Outcome {
		l.failsOtherwise(ps, before, v)
		return
	}
	l.verdicts[v.ProbeID] = v
	l.dirty[ps.key] = true
	l.verdictEvent(ps, v, before.Outcome)
	l.saveVerdicts()
}

// retell is how soon a failure that goes on is told again, if for another
// reason.
const retell = 30 * time.Second

// failsOtherwise tells why a probe fails now: what was told first, such as a
// port on which nobody listens yet, leads people astray later.
func (l *loop) failsOtherwise(ps *podState, before, v pod.ProbeVerdict) {
	if v.Outcome != pod.ProbeFailure || v.Message == before.Message || v.At.Moment.Sub(before.At.Moment) < retell {
		return
	}
	l.verdicts[v.ProbeID] = v
	l.verdictEvent(ps, v, before.Outcome)
}

func (l *loop) verdictEvent(ps *podState, v pod.ProbeVerdict, before pod.ProbeOutcome) {
	name := ps.containers[v.Container].Name
	failed := v.Outcome == pod.ProbeFailure
	switch {
	case failed && v.Kind == pod.HookPostStart:
		l.event(ps.key, warning, "FailedPostStartHook", fmt.Sprintf("The postStart hook of container %s failed: %s", name, v.Message))
	case failed && v.Kind == pod.HookPreStop:
		l.event(ps.key, warning, "FailedPreStopHook", fmt.Sprintf("The preStop hook of container %s failed, it is stopped all the same: %s", name, v.Message))
	case failed:
		l.event(ps.key, warning, "Unhealthy", fmt.Sprintf("The %s probe of container %s failed: %s", v.Kind, name, v.Message))
	case before == pod.ProbeFailure:
		l.event(ps.key, normal, "Healthy", fmt.Sprintf("The %s probe of container %s succeeds again", v.Kind, name))
	}
}

// loadVerdicts brings back what was known before podstead was restarted, so
// that nobody takes a ready container for one that is not.
func (l *loop) loadVerdicts() {
	verdicts, err := l.cfg.Verdicts.Load()
	if err != nil {
		l.event(pod.Key{}, warning, "StateRecovered", fmt.Sprintf("the verdicts of probes could not be read, everything is probed anew: %v", err))
	}
	for _, v := range verdicts {
		l.verdicts[v.ProbeID] = v
	}
}

// saveVerdicts writes down the verdicts on runs that still are, one writing at
// a time; a change meanwhile is written afterwards.
func (l *loop) saveVerdicts() {
	l.unsaved = true
	if l.saving || !l.runtime.Up {
		return
	}
	l.saving, l.unsaved = true, false
	list := make([]pod.ProbeVerdict, 0, len(l.verdicts))
	for id, v := range l.verdicts {
		if l.podOf(id.Container) == nil {
			delete(l.verdicts, id)
			continue
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b pod.ProbeVerdict) int {
		return cmp.Or(cmp.Compare(a.Container, b.Container), cmp.Compare(a.Kind, b.Kind))
	})
	l.spawn(func(context.Context) {
		err := l.cfg.Verdicts.Save(list)
		l.send(func(l *loop) { l.savedVerdicts(err) })
	})
}

func (l *loop) savedVerdicts(err error) {
	l.saving = false
	if err != nil {
		l.event(pod.Key{}, warning, "VerdictsUnsaved", fmt.Sprintf("the verdicts of probes can't be written down, a restart of podstead probes everything anew: %v", err))
		return
	}
	if l.unsaved {
		l.saveVerdicts()
	}
}

// setProbes hands over all probes that are to be made, if any changed.
func (l *loop) setProbes() {
	if !l.retarget {
		return
	}
	l.retarget = false
	var targets []pod.ProbeTarget
	for _, key := range sortedKeys(l.pods) {
		targets = append(targets, l.pods[key].targets...)
	}
	l.cfg.Probes.Set(targets)
}

func sameTarget(a, b pod.ProbeTarget) bool {
	return a.ProbeID == b.ProbeID && a.Spec == b.Spec && a.Probe == b.Probe && a.Period == b.Period && a.Host == b.Host
}

// hook runs a lifecycle hook for as long as its container lives. What came of
// it is a verdict, also when it failed.
func (l *loop) hook(ps *podState, a plan.Hook) func(context.Context) (fact, error) {
	cfg := l.cfg
	dead, die := context.WithCancel(context.Background())
	ps.hooks[a.ID] = append(ps.hooks[a.ID], die)
	return func(ctx context.Context) (fact, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stop := context.AfterFunc(dead, cancel)
		defer stop()
		err := cfg.Hooks.Run(ctx, a.ID, a.Spec, a.Handler, a.Host)
		late := errors.Is(ctx.Err(), context.DeadlineExceeded)
		if dead.Err() != nil && !late {
			return nil, nil
		}
		if errors.Is(err, pod.ErrUnavailable) {
			return nil, fmt.Errorf("run the %s hook of container %s: %w", a.Kind, a.Container, err)
		}
		v := pod.ProbeVerdict{ProbeID: pod.ProbeID{Container: a.ID, Kind: a.Kind}, Outcome: pod.ProbeSuccess, At: cfg.Now()}
		switch {
		case late:
			v.Outcome, v.Message = pod.ProbeFailure, "it was still running when its time was over"
		case err != nil:
			v.Outcome, v.Message = pod.ProbeFailure, err.Error()
		}
		return func(l *loop) { l.judged(v) }, nil
	}
}
