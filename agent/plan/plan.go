// Package plan holds every decision of podstead as pure functions of values:
// what is wanted, what was observed and what time it is go in; actions, notes
// and the time of the next look come out. Nothing here reads a clock, does
// I/O, logs, or depends on the order of a map. Waiting is data: back-off and
// grace are moments in what was observed and a wake time in the answer.
package plan

import (
	"time"

	"github.com/podstead/podstead/pod"
)

// Settings are the constants of the decisions.
type Settings struct {
	// RestartBase, RestartMax and RestartReset shape the back-off of
	// restarts: 10 s, 5 min and 10 min by default.
	RestartBase, RestartMax, RestartReset time.Duration
	// RestartRate is how many failed containers are restarted per second on the
	// whole server, RestartBurst how many at once: 4 and 20. No bound if
	// RestartRate is 0.
	RestartRate  float64
	RestartBurst int
	// RetryBase and RetryMax shape the back-off of failed operations; pulls
	// use PullBase and PullMax.
	RetryBase, RetryMax time.Duration
	PullBase, PullMax   time.Duration
	// FullMax replaces RetryMax for what failed because a disk was full: when
	// there is room again, it goes on soon.
	FullMax time.Duration
	// KillRetry is how long to wait before a SIGKILL that had no effect is
	// repeated.
	KillRetry time.Duration
	// LateGrace is what a container gets that is told to stop only when the
	// grace is over: a sidecar after the others, or after a preStop hook.
	LateGrace time.Duration
}

// DefaultSettings are Kubernetes' constants where it has them.
func DefaultSettings() Settings {
	return Settings{
		RestartBase: 10 * time.Second, RestartMax: 5 * time.Minute, RestartReset: 10 * time.Minute,
		RestartRate: 4, RestartBurst: 20,
		RetryBase: time.Second, RetryMax: 30 * time.Second,
		PullBase: 10 * time.Second, PullMax: 5 * time.Minute, FullMax: 5 * time.Second,
		KillRetry: 5 * time.Second, LateGrace: 2 * time.Second,
	}
}

// Want is what is wanted of one pod.
type Want struct {
	// Desired is the wanted pod; nil when no source wants it.
	Desired *pod.Desired
	// Keep says that nobody can tell now whether the pod is wanted (its
	// source was not read yet, its file is unreadable): it goes on as it was
	// recorded, whatever Desired says.
	Keep bool
	// Gone says in words why the pod is not wanted.
	Gone string
	// Blocked is why the wanted version must not be started and the running
	// one must not be stopped for it; Waiting is why the wanted version must
	// not be started yet although the running one may be stopped.
	Blocked, Waiting *Obstacle
	// Halt says that what runs of the pod has to stop for a time; nil when not.
	Halt *Halt
	// Restart holds the ids of containers that an operator wants to be
	// restarted: running ones are stopped, dead ones that wait for their
	// back-off don't wait.
	Restart map[string]bool
}

// Obstacle is why something can't be done now. It goes away by itself or is
// looked at again on every change.
type Obstacle struct {
	// Reason is one word, such as PortConflict; Message names the holder.
	Reason, Message string
}

// Have is what was observed of one pod, and what is in flight for it.
type Have struct {
	// RuntimeUp is false while containerd can't be asked, or was not listed
	// since it came back. Nothing is decided then.
	RuntimeUp bool
	// LastInstance is the highest instance number that was ever used.
	LastInstance int
	// Begun tells that this process began to make the instance, so it is not
	// the rest of an interrupted teardown. It stays until the teardown.
	Begun map[int]bool
	// Containers and Sandboxes of all instances of the pod.
	Containers []pod.Container
	Sandboxes  []pod.Sandbox
	// Images are images known to be present, by name as in the manifest.
	Images map[string]pod.Image
	// Gone are the digests of images that were found to be removed, and are to
	// be had anew.
	Gone map[string]bool
	// Resolved are images that were fetched for one instance of this pod.
	Resolved map[Name]pod.Image
	// Failed holds the failures of operations, by Action.Name.
	Failed map[string]Failure
	// Exceeded says, by instance, which limit on disk a pod has outgrown.
	Exceeded map[int]string
	// Evicted counts the instances that were ended for that.
	Evicted Evictions
	// Cleared is what the instances were of which the containers are removed
	// already, so that people see what is still in the way of their end.
	Cleared map[int]*pod.Desired
	// LimitsLost says that the host forgot the limits of what runs: they have
	// to be set again.
	LimitsLost bool
	// Queued says that restarts of failed containers wait for their turn on the
	// server.
	Queued bool
	// Unwired tells, by instance, that somebody took a pod's link away.
	Unwired map[int]bool
	// Serving tells, by instance, that Services send traffic to the pod, and
	// until when its end waits for that to stop.
	Serving map[int]pod.Moment
	// Killed is when SIGKILL was last sent to a container.
	Killed map[string]pod.Moment
	// Verdicts are the outcomes of probes and hooks; of what is not in it
	// nothing is known.
	Verdicts map[pod.ProbeID]pod.ProbeVerdict
}

// Name is an image name as one instance of a pod resolves it.
type Name struct {
	Image    string
	Instance int
}

// Failure is an operation that failed Count times in a row, last at At.
type Failure struct {
	Count           int
	At              pod.Moment
	Reason, Message string
	// Full tells that a disk was full, and Need how many bytes are needed, 0
	// if nobody knows.
	Full bool
	Need int64
}

// Decision is what to do for one pod now.
type Decision struct {
	// Actions in order of importance. Of those with the same target only the
	// first may run; the others are decided anew afterwards.
	Actions []Action
	// Wake is when to decide again if nothing happens before; 0 for never.
	Wake pod.Moment
	// Leaving are the instances that are being ended: no Service is to send them
	// traffic any more.
	Leaving []int
	// Notes say what holds the pod back, for people.
	Notes []string
}

func (d *Decision) do(a Action)      { d.Actions = append(d.Actions, a) }
func (d *Decision) note(text string) { d.Notes = append(d.Notes, text) }

// wakeAt asks for a decision at m, or earlier if one was asked for.
func (d *Decision) wakeAt(m pod.Moment) {
	if d.Wake == 0 || m < d.Wake {
		d.Wake = m
	}
}

// Pod decides what to do for one pod. At most one instance of it has live
// containers at any time: an older one is ended before a newer one starts.
func Pod(s Settings, w Want, h Have, now pod.Moment) Decision {
	d := &Decision{}
	if !h.RuntimeUp {
		return *d
	}
	p := planner{Settings: s, want: w, have: h, now: now, Decision: d}
	p.pod()
	return *d
}

// planner is one run of Pod; it lives as long as the call.
type planner struct {
	Settings
	want Want
	have Have
	now  pod.Moment
	*Decision
}

func (p *planner) pod() {
	lives := instances(p.have)
	for i := range lives {
		l := &lives[i]
		if i < len(lives)-1 || p.over(l) {
			p.end(l, p.endReason(l))
		} else if p.want.Halt != nil {
			p.halt(l)
		}
	}
	if p.want.Halt != nil {
		p.note(p.want.Halt.Reason + ": it starts when that is over")
		return
	}
	if len(p.Actions) > 0 || p.ending(lives) {
		return
	}
	if len(lives) == 0 {
		p.begin(p.have.LastInstance + 1)
		return
	}
	p.keepOrReplace(&lives[len(lives)-1])
}

// over tells whether an instance has to be ended: it was condemned before, is
// what an interrupted teardown left, has outgrown its disk, or is not wanted
// any more.
func (p *planner) over(l *life) bool {
	switch {
	case l.condemned() != nil, p.have.Exceeded[l.number] != "":
		return true
	case len(l.containers) == 0 && !p.have.Begun[l.number]:
		return true
	default:
		return p.want.Desired == nil && !p.want.Keep
	}
}

func (p *planner) endReason(l *life) string {
	if c := l.condemned(); c != nil {
		return c.Reason
	}
	if exceeded := p.have.Exceeded[l.number]; exceeded != "" {
		return exceeded
	}
	if p.want.Gone != "" {
		return p.want.Gone
	}
	return "a newer instance replaces it"
}

// ending tells whether an instance is still on its way out.
func (p *planner) ending(lives []life) bool {
	for i := range lives {
		if i < len(lives)-1 || p.over(&lives[i]) {
			return true
		}
	}
	return false
}

// begin starts a wanted pod of which nothing exists.
func (p *planner) begin(number int) {
	if p.want.Desired == nil || p.want.Keep {
		return
	}
	if at, why, waits := p.banned(); waits {
		p.note(why)
		p.wakeAt(at)
		return
	}
	l := life{number: number}
	p.run(&l, p.want.Desired)
}

// keepOrReplace goes on with the newest instance, or replaces it when the
// wanted pod differs in what only a new pod can have.
func (p *planner) keepOrReplace(l *life) {
	recorded := l.recorded()
	desired := p.want.Desired
	if p.want.Keep || desired == nil {
		if recorded == nil {
			p.note("its record can't be read and its manifest is not known: it is left as it is")
			return
		}
		desired = recorded
	}
	if recorded != nil && p.want.Blocked != nil {
		p.note(p.want.Blocked.Message + "; the running version stays")
		p.run(l, recorded)
		return
	}
	if recorded != nil {
		if field := p.replaceReason(l, recorded, desired); field != "" {
			p.replace(l, desired, field)
			return
		}
	}
	p.run(l, desired)
}

// replace prepares the successor of an instance as far as that is possible
// beside it, and only then ends it: pull before stop.
func (p *planner) replace(l *life, desired *pod.Desired, field string) {
	if !p.images(l.number+1, desired, nil) {
		p.note("the new version waits for its image; the running version stays")
		p.runRecorded(l)
		return
	}
	p.end(l, "changed "+field)
}

// runRecorded keeps an instance going by its own record.
func (p *planner) runRecorded(l *life) {
	if r := l.recorded(); r != nil {
		p.run(l, r)
	}
}
