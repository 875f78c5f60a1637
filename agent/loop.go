package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// maxSleep bounds the timer of the loop: Go's timers stand still while the
// host is suspended, our moments do not.
const maxSleep = 30 * time.Second

// loop is the state that one goroutine owns.
type loop struct {
	*Agent
	// spawn runs work beside the loop, for at most the life of the agent.
	spawn func(work func(context.Context))

	sources map[string]pod.SourceState
	wants   map[pod.Key]plan.Want
	// objects is what is wanted beside pods. One of which nobody can tell
	// whether it is wanted has the object that was wanted last.
	objects map[pod.ObjectKey]plan.ObjectWant
	pods    map[pod.Key]*podState
	images  map[string]*imageState
	// gone are the digests of images that were found to be removed.
	gone map[string]bool
	// workloads are the Deployments, ReplicaSets and DaemonSets, derived the
	// pods of them that are wanted or on their way out.
	workloads map[pod.ObjectKey]*workloadState
	derived   map[pod.Key]pod.ObjectKey
	// restless workloads are to be decided; waitingWorkloads want a slot for a
	// pull.
	restless, waitingWorkloads map[pod.ObjectKey]bool
	rollouts                   workload.Settings
	// claims are those of the last admission.
	claims  []plan.Claim
	events  *recorder
	history map[string]int
	// historyVersion is that of the newest one to be saved.
	historyVersion int

	// conflicts are the manifests that lost against others.
	conflicts []pod.Problem
	// dirty pods are to be decided; waiting ones want a free slot.
	dirty   map[pod.Key]bool
	waiting []pod.Key
	// asked numbers the pods that want slots, or have some, in the order in
	// which they first asked; last is the highest number.
	asked map[pod.Key]int
	last  int
	// unmerged: sources, owners or claims changed since the last merge.
	unmerged bool
	// unpublished: something that people see changed since the last snapshot.
	unpublished bool

	cgroups  cgroupsState
	node     pod.Node
	runtime  pod.RuntimeState
	listing  bool
	relistAt pod.Moment
	// swept tells that what an earlier podstead left was looked for.
	swept bool
	// early is what was said of pods before any was known.
	early     []notice
	measureAt pod.Moment
	pings     pinging
	// starts and teardowns are how many are under way; pullAt is when a pull
	// that waits for a slot may begin, if none ends before, 0 if none waits.
	starts    int
	teardowns int
	pullAt    pod.Moment
	// looks are the containers that are being looked at; true when something
	// happened to one meanwhile. starting is the same for those being started.
	looks    map[string]bool
	starting map[string]bool
	version  uint64
	drain    *draining // nil while there is none
	counts   counts
	// answers to commands wait for what follows from those.
	answers []commandAnswer

	// verdicts of probes and hooks; unsaved ones wait for the writing of
	// those before.
	verdicts        map[pod.ProbeID]pod.ProbeVerdict
	saving, unsaved bool
	// retarget: the probes that are to be made changed.
	retarget bool
	network  setting
	services services
	ports    listening
	storage  storage
	restarts restarts
}

func newLoop(a *Agent, spawn func(func(context.Context))) *loop {
	l := &loop{
		Agent: a, spawn: spawn,
		sources: map[string]pod.SourceState{},
		wants:   map[pod.Key]plan.Want{},
		pods:    map[pod.Key]*podState{},
		images:  map[string]*imageState{},
		gone:    map[string]bool{},

		workloads: map[pod.ObjectKey]*workloadState{}, derived: map[pod.Key]pod.ObjectKey{},
		restless: map[pod.ObjectKey]bool{}, waitingWorkloads: map[pod.ObjectKey]bool{},
		rollouts: rolloutSettings(a.cfg.Node),

		events: newRecorder(),
		dirty:  map[pod.Key]bool{}, asked: map[pod.Key]int{},
		looks: map[string]bool{}, starting: map[string]bool{},
		node:    a.cfg.Node,
		runtime: a.cfg.Runtime,
		history: map[string]int{},
		counts:  counts{pulls: map[string]pod.Moment{}},

		verdicts: map[pod.ProbeID]pod.ProbeVerdict{}, network: setting{changed: true}, storage: newStorage(),
	}
	for i, name := range a.cfg.Sources {
		l.sources[name] = pod.SourceState{Name: name, Priority: i}
	}
	return l
}

// drainInbox applies the facts that wait, so that one decision serves many,
// but not so many that others starve.
func (l *loop) drainInbox() {
	for range 256 {
		select {
		case f := <-l.inbox:
			f(l)
		default:
			return
		}
	}
}

// step decides whatever changed, publishes it, and returns how long nothing
// has to be decided if no fact arrives.
func (l *loop) step() time.Duration {
	now := l.cfg.Now()
	if l.unmerged || l.drain != nil && l.drain.again != 0 && now.Moment >= l.drain.again {
		l.merge()
	}
	if l.pullAt != 0 && now.Moment >= l.pullAt {
		l.pullAt = 0
		l.wakeWaiting()
	}
	l.nextRestarts(now.Moment)
	for key, ps := range l.pods {
		if ps.wake != 0 && now.Moment >= ps.wake {
			l.dirty[key] = true
		}
	}
	l.decideAll(now)
	if now.Moment >= l.relistAt {
		l.relist()
	}
	l.ping(now.Moment)
	l.measure(now.Moment)
	l.lookAtDisks(now)
	l.setProbes()
	l.resolveServices()
	l.setNames(now.Moment)
	l.recordServices(now.Moment)
	l.askPorts(now.Moment)
	l.listen(now.Moment)
	// On one thread what is begun last goes first: traffic waits for nothing.
	l.setNetwork(now.Moment)
	l.checkDrained()
	if l.unpublished {
		l.publishSnapshot(now)
	}
	l.giveAnswers()
	return l.sleep(now.Moment)
}

// maxRounds bounds how often pods and workloads are decided at one moment: what
// follows from one another comes to rest after a few rounds.
const maxRounds = 100

// decideAll decides about pods and workloads until nothing more follows.
func (l *loop) decideAll(now pod.Stamp) {
	for range maxRounds {
		for len(l.dirty) > 0 {
			keys := l.inTurn()
			clear(l.dirty)
			for _, key := range keys {
				l.decide(key, now)
			}
			if l.unmerged {
				l.merge()
			}
		}
		l.decideWorkloads(now)
		if l.unmerged {
			l.merge()
		}
		if len(l.dirty) == 0 && !l.workloadsWait() {
			return
		}
	}
}

func (l *loop) sleep(now pod.Moment) time.Duration {
	d := min(maxSleep, l.relistAt.Sub(now), max(l.measureAt.Sub(now), time.Second))
	if l.workloadsWait() || len(l.dirty) > 0 || l.unmerged {
		d = 0
	}
	if at := l.nextService(now); at != 0 {
		d = min(d, at.Sub(now))
	}
	if l.runtime.Up && !l.pings.underWay {
		d = min(d, l.pings.at.Sub(now))
	}
	if l.pullAt != 0 {
		d = min(d, l.pullAt.Sub(now))
	}
	if at := l.listensAt(); at != 0 {
		d = min(d, at.Sub(now))
	}
	if l.drain != nil && l.drain.again != 0 {
		d = min(d, l.drain.again.Sub(now))
	}
	if len(l.restarts.waiting) > 0 {
		d = min(d, l.restarts.at.Sub(now))
	}
	if !l.storage.busy {
		d = min(d, l.storage.at.Sub(now))
	}
	for _, ps := range l.pods {
		if ps.wake != 0 {
			d = min(d, ps.wake.Sub(now))
		}
	}
	for _, ws := range l.workloads {
		if ws.wake != 0 && !l.removing() {
			d = min(d, ws.wake.Sub(now))
		}
	}
	return max(d, 0)
}

// decide asks the plan about one pod and begins what it says.
func (l *loop) decide(key pod.Key, now pod.Stamp) {
	ps := l.pods[key]
	want, wanted := l.wants[key]
	if ps == nil {
		if !wanted || want.Desired == nil {
			return
		}
		ps = newPodState(key, now)
		ps.lastInstance = l.highest(key)
		l.pods[key] = ps
	}
	want.Restart = ps.restart
	have := l.have(ps)
	d := plan.Pod(l.cfg.Settings, want, have, now.Moment)
	ps.wake, ps.notes = d.Wake, append(d.Notes, ps.unmeasured()...)
	if have.RuntimeUp {
		ps.noteLeaving(d.Leaving, now.Moment)
	}
	for _, a := range d.Actions {
		l.dispatch(ps, a)
	}
	l.wired(ps, plan.Networks(have), plan.Probed(have, now.Moment))
	if owner, derived := l.workloadOf(key); derived {
		l.restless[owner] = true
	}
	if ps.empty() && want.Desired == nil && l.runtime.Up {
		delete(l.pods, key)
		delete(l.wants, key)
		l.unpublished = true
		l.services.stale = l.services.stale || len(ps.members) > 0
		return
	}
	l.describe(ps, want, now)
	l.noteMembers(ps)
}

// takeSource takes the new state of a source.
func (l *loop) takeSource(s pod.SourceState) {
	old := l.sources[s.Name]
	l.sources[s.Name] = s
	l.countSource(s)
	l.unmerged, l.unpublished = true, true
	if !slices.Equal(old.Problems, s.Problems) {
		for key := range l.pods {
			l.dirty[key] = true
		}
		l.unpublished = true
	}
	for _, p := range s.Problems {
		if !slices.Contains(old.Problems, p) {
			l.sourceProblem(p)
		}
	}
	if s.Error != old.Error && s.Error != "" {
		l.event(pod.Key{}, warning, "SourceError", fmt.Sprintf("source %s (%s): %s; what it wanted last goes on", s.Name, s.Location, s.Error))
	}
}

func (l *loop) forgetSource(name string) {
	delete(l.sources, name)
	l.unmerged, l.unpublished = true, true
}

func (l *loop) sourceProblem(p pod.Problem) {
	kind, reason := warning, "ManifestInvalid"
	if p.Severity == pod.Warning {
		kind, reason = normal, "ManifestWarning"
	}
	text := p.String()
	if p.Consequence != "" {
		text += "; " + p.Consequence
	}
	l.eventOf(p.Object(), kind, reason, text)
}

func sortedKeys[V any](m map[pod.Key]V) []pod.Key {
	keys := make([]pod.Key, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b pod.Key) int {
		switch {
		case a == b:
			return 0
		case a.Less(b):
			return -1
		default:
			return 1
		}
	})
	return keys
}
