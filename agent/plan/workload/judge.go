package workload

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/podstead/podstead/pod"
)

// judge follows the rollout of the target: how far it came, whether it is
// complete, good, or has failed. It reports true when a failure was found, on
// which the target may change.
func (r *decider) judge() bool {
	if r.rec.Revision(r.rec.Target) == nil || r.rec.Rollout.Settled && r.rec.Rollout.Marks.Wanted == r.n {
		return false
	}
	r.mark()
	failure := r.relapsed()
	if failure != nil {
		r.completeAgain()
	}
	if late := r.late(); failure == nil {
		failure = late
	}
	if crashed := r.crashed(); crashed != nil {
		failure = crashed
	}
	if failure != nil && r.fail(failure) {
		return true
	}
	r.settle()
	return false
}

// mark notes how far the rollout came. The deadline counts from when it last
// came further than ever, so pods that come and go don't put it off.
func (r *decider) mark() {
	ro := &r.rec.Rollout
	before := *ro
	updated := r.count(r.fresh)
	now := Marks{
		Wanted: r.n, Updated: updated, Old: len(r.members) - updated,
		Available: r.count(r.upToDate),
	}
	last := ro.Marks
	restarted := last.Wanted != now.Wanted || ro.Progress.IsZero()
	stalled := r.stalled(now)
	switch {
	case ro.Settled:
		ro.Marks = now // only the number changed
	case restarted:
		ro.Marks, ro.Progress, ro.Complete = now, r.now, pod.Stamp{}
	case now.Updated > last.Updated || now.Available > last.Available || now.Old < last.Old:
		ro.Marks = Marks{now.Wanted, max(now.Updated, last.Updated), max(now.Available, last.Available), min(now.Old, last.Old)}
		ro.Progress = r.now
	case ro.Stalled && !stalled:
		ro.Progress = r.now
	}
	ro.Stalled = stalled && !ro.Settled
	if !ro.Settled && ro.Complete.IsZero() && r.complete(now) {
		ro.Complete = r.now
	}
	r.Store = r.Store || !sameRollout(before, *ro)
}

func sameRollout(a, b Rollout) bool {
	return a.Progress == b.Progress && a.Complete == b.Complete && a.Settled == b.Settled && a.Stalled == b.Stalled && a.Marks == b.Marks
}

// complete tells whether every pod is of the target and available.
func (r *decider) complete(now Marks) bool {
	return r.n > 0 && now.Old == 0 && now.Updated == r.n && now.Available == r.n
}

// stalled tells whether no pod of the target is to blame for how long it
// takes: rollouts are paused, or what is missing can't be admitted.
func (r *decider) stalled(now Marks) bool {
	return r.frozen || !r.complete(now) && len(r.faulty()) == 0
}

// faulty are the pods of the target that could be available and are not.
func (r *decider) faulty() []*member {
	var list []*member
	for _, m := range r.members {
		if r.fresh(m) && !m.available && m.Blocked == "" {
			list = append(list, m)
		}
	}
	return list
}

// crashed finds a pod of the target that crashed too often since the rollout
// began.
func (r *decider) crashed() *Failure {
	ro := &r.rec.Rollout
	if r.frozen || ro.Settled {
		return nil
	}
	for _, m := range r.members {
		if crashes := m.Crashes - ro.Crashes[m.Key.Name]; r.fresh(m) && crashes >= r.CrashLimit {
			return r.failure(FailedCrashing, fmt.Sprintf("pod %s crashed %s", m.Key.Name, plural(crashes, "time", "times")), []*member{m})
		}
	}
	return nil
}

// late finds that the deadline passed while pods of the target could have
// become available.
func (r *decider) late() *Failure {
	ro := &r.rec.Rollout
	if r.frozen || ro.Settled || !ro.Complete.IsZero() || r.deadline == 0 {
		return nil
	}
	at := ro.Progress.Moment.Add(r.deadline)
	if r.now.Moment < at {
		r.wakeAt(at)
		return nil
	}
	faulty := r.faulty()
	if ro.Stalled || len(faulty) == 0 {
		return nil
	}
	return r.failure(FailedInTime, fmt.Sprintf("%s of it did not become ready within %s", plural(len(faulty), "pod", "pods"), r.deadline), faulty)
}

// relapsed finds that a complete rollout turned unhealthy in its watch window:
// more pods of it are not ready than may be missing.
func (r *decider) relapsed() *Failure {
	ro := &r.rec.Rollout
	if r.frozen || ro.Settled || ro.Complete.IsZero() {
		return nil
	}
	var sick []*member
	excused := 0
	for _, m := range r.members {
		switch {
		case m.ready:
		case m.Excused:
			excused++
		default:
			sick = append(sick, m)
		}
	}
	_, missing := r.bounds(r.n)
	if r.recreate {
		missing = 0
	}
	if allowed := min(missing, r.n-1); len(sick) <= allowed {
		if len(sick)+excused > allowed {
			r.completeAgain()
		}
		return nil
	}
	return r.failure(FailedUnhealthy, fmt.Sprintf("%s of it turned unhealthy %s after all were ready",
		plural(len(sick), "pod", "pods"), r.now.Moment.Sub(ro.Complete.Moment).Round(time.Second)), sick)
}

// completeAgain has the rollout become complete once more: pods of it are not
// available any more.
func (r *decider) completeAgain() {
	ro := &r.rec.Rollout
	ro.Complete, ro.Progress, ro.Marks.Available = pod.Stamp{}, r.now, r.count(r.upToDate)
	r.Store = true
}

// fail notes that the target failed. A rollback and a revision that failed
// before are not judged again: there is nothing better to go to.
func (r *decider) fail(f *Failure) bool {
	target := r.rec.Revision(r.rec.Target)
	if r.rec.Rollout.Rollback || target.Failure != nil {
		return false
	}
	target.Failure, target.Good = f, false
	r.Store = true
	r.say(warning, "RolloutFailed", r.describe(target)+" failed: "+f.Message+r.consequence())
	return true
}

// consequence says what follows from a failure.
func (r *decider) consequence() string {
	switch {
	case !r.rollback:
		return "; automatic rollback is off, so it stays"
	case r.rec.good() == nil:
		return "; there is no good revision to go back to, so it stays and is tried on"
	default:
		return ""
	}
}

// settle finds that the target is good: it ran ready through its watch window.
func (r *decider) settle() {
	ro := &r.rec.Rollout
	if ro.Complete.IsZero() || ro.Settled || r.frozen {
		return
	}
	if at := ro.Complete.Moment.Add(r.watch); r.now.Moment < at {
		r.wakeAt(at)
		return
	}
	target := r.rec.Revision(r.rec.Target)
	ro.Settled, ro.Crashes = true, nil
	target.Good, target.Failure = true, nil
	r.Store = true
	r.say(normal, "RolloutComplete", fmt.Sprintf("%s is good: %s ready, %s watched", r.describe(target), plural(r.n, "pod", "pods"), r.watch))
}

// The bounds of what is kept of a failure.
const (
	keptPods   = 3
	keptLines  = 10
	keptEvents = 5
	keptText   = 2 << 10
)

// failure collects what is known of the pods that failed.
func (r *decider) failure(reason FailureReason, message string, of []*member) *Failure {
	f := &Failure{Reason: reason, Message: message, At: r.now}
	for _, m := range of[:min(len(of), keptPods)] {
		p := pod.FailedPod{Name: m.Key.Name, Crashes: m.Crashes, Events: last(m.Events, keptEvents)}
		for _, t := range m.Troubles {
			t.LogTail = last(t.LogTail, keptLines)
			t.Probe = strings.ToValidUTF8(t.Probe[:min(len(t.Probe), keptText)], "")
			p.Troubles = append(p.Troubles, t)
		}
		f.Pods = append(f.Pods, p)
	}
	if why := firstTrouble(f.Pods); why != "" {
		f.Message += ": " + why
	}
	return f
}

func firstTrouble(pods []pod.FailedPod) string {
	for _, p := range pods {
		for _, t := range p.Troubles {
			return t.String()
		}
	}
	return ""
}

// last are the last lines that fit, each and together.
func last(lines []string, n int) []string {
	lines = slices.Clone(lines[max(len(lines)-n, 0):])
	left := keptText
	for i := len(lines) - 1; i >= 0; i-- {
		if len(lines[i]) > left {
			lines[i] = strings.ToValidUTF8(lines[i][:left], "")
		}
		left -= len(lines[i])
	}
	return lines
}
