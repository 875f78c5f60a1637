package workload

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/podstead/podstead/pod"
)

// Decide decides what is wanted of one workload. The same values give the
// same decision. It is all that is to be done before something is observed:
// decided again at one moment, with what it ended told to stop, what it added
// there and its record stored, nothing comes of it.
func Decide(s Settings, w Want, h Have, now pod.Stamp) Decision {
	object := w.Object
	if w.Keep {
		object = nil
		if h.Record != nil {
			object = &h.Record.Manifest
		}
	}
	switch {
	case !h.RuntimeUp, object == nil && w.Keep:
		return Decision{Keep: true, Record: h.Record}
	case object == nil:
		return gone(w, h)
	}
	sp, ok := specOf(s, object)
	if !ok {
		return Decision{Keep: true, Record: h.Record}
	}
	return decideAll(s, sp, h, now)
}

// gone ends all pods of a workload that no source wants.
func gone(w Want, h Have) Decision {
	d := Decision{Store: h.Record != nil}
	for i := range h.Pods {
		if !h.Pods[i].Stopping {
			d.Ended = append(d.Ended, Ended{h.Pods[i].Key, w.Gone})
		}
	}
	slices.SortFunc(d.Ended, func(a, b Ended) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
	d.Status.Deleting = len(h.Pods) > 0
	return d
}

// decider is one run of Decide; it lives as long as the call.
type decider struct {
	Settings
	spec
	*Decision
	have Have
	now  pod.Stamp
	rec  *Record
	// n is how many pods are wanted. With frozen, pods are added and ended for
	// their number only; with closed, none are added at all.
	n              int
	frozen, closed bool
	where          placement
	// declared is the revision of the manifest, or the one that people want
	// instead; nil while none is made of it yet.
	declared string
	// members are the pods that are wanted, as far as it is decided; stopping
	// counts those on their way out, and leaving those of them that serve.
	members           []*member
	stopping, leaving int
	// used are the names that pods have, and next the first index by revision
	// of which a name may be free.
	used  map[string]bool
	next  map[string]int
	gates map[string]gate
	// free is how many more pods of the target there is room for.
	free int
}

// member is a pod that is wanted.
type member struct {
	Pod
	// made tells that it was wanted before.
	made             bool
	ready, available bool
}

func newDecider(s Settings, sp spec, h Have, now pod.Stamp) *decider {
	r := &decider{Settings: s, spec: sp, Decision: &Decision{}, have: h, now: now, gates: map[string]gate{}}
	r.have.Pods = slices.Clone(h.Pods)
	slices.SortFunc(r.have.Pods, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(a.Key.Namespace, b.Key.Namespace), cmp.Compare(a.Key.Name, b.Key.Name))
	})
	r.rec = &Record{BootID: s.BootID}
	if h.Record != nil {
		r.rec = h.Record.clone()
	}
	if r.rec.BootID != s.BootID {
		r.rec.rebooted(s.BootID)
		r.rec.Rollout.Crashes = r.crashes(r.rec.Target)
		r.Store = true
	}
	return r
}

func (r *decider) decide() {
	r.Record = r.rec
	r.where = r.place()
	if !r.where.stays && r.have.Record == nil && len(r.have.Pods) == 0 {
		r.rec.Generation = 1
		r.status()
		r.Record, r.Store = nil, false // this server has nothing to do with it
		return
	}
	r.readManifest()
	r.readCommands()
	if r.hashLabel == "" {
		r.keepNumber()
	} else {
		r.rollOut()
	}
	r.finish()
}

// readManifest notes a change of the manifest. What people changed against it
// is taken back then, but for a pause: it is made to hold such changes.
func (r *decider) readManifest() {
	rec := r.rec
	changed, respecified := compareManifests(&rec.Manifest, r.object)
	if !changed {
		return
	}
	r.Store = true
	before, known := specOf(Settings{}, &rec.Manifest)
	rec.Manifest = *r.object
	rec.Manifest.Warnings = nil
	if !respecified {
		return
	}
	rec.Generation++
	kept := Drift{}
	if known && before.paused == r.paused {
		kept.Paused = rec.Drift.Paused
	}
	if rec.Drift != kept {
		r.say(normal, "DriftTakenBack", "the manifest changed: what the command line changed before is taken back")
		rec.Drift = kept
	}
}

// readCommands finds how many pods are wanted and whether rollouts are paused.
func (r *decider) readCommands() {
	drift := r.rec.Drift
	r.Status.Replicas = min(or(drift.Replicas, r.replicas), pod.MaxReplicas) // whatever a record says
	r.Status.Paused = or(drift.Paused, r.paused)
	r.n = int(r.Status.Replicas)
	r.closed = !r.where.runs
	r.frozen = r.Status.Paused || r.closed || r.have.Halted
	if !r.where.stays {
		r.n = 0
	}
}

// rollOut decides for the kinds that replace their pods.
func (r *decider) rollOut() {
	r.adopt()
	// A failure that is found changes what is wanted, that the target, and that
	// the pods: once to the last good revision, which is not judged.
	for range 3 {
		if r.where.runs {
			r.declare()
			r.aim()
		}
		r.gather()
		r.roll()
		if !r.judge() {
			break
		}
	}
	r.noteRan()
	r.prune()
}

// gather lists the pods that are wanted so far.
func (r *decider) gather() {
	r.members, r.stopping, r.leaving, r.Ended = nil, 0, 0, nil
	r.used, r.next = make(map[string]bool, len(r.have.Pods)), map[string]int{}
	for _, p := range r.have.Pods {
		r.used[p.Key.Name] = true
		if p.Stopping {
			r.stop(p)
			continue
		}
		m := &member{Pod: p, made: true, ready: !p.Ready.IsZero()}
		if m.ready {
			at := p.Ready.Moment.Add(r.minReady)
			m.available = r.now.Moment >= at
		}
		r.members = append(r.members, m)
	}
}

// finish makes the pods of what was decided, and shows it.
func (r *decider) finish() {
	for _, m := range r.members {
		if m.ready && !m.available {
			r.wakeAt(m.Ready.Moment.Add(r.minReady))
		}
		rev := r.rec.Revision(m.Revision)
		switch d := m.Desired; {
		case d != nil && d.Origin == r.object.Origin:
			r.Pods = append(r.Pods, d)
		case d != nil:
			r.Pods = append(r.Pods, &pod.Desired{Key: d.Key, Pod: d.Pod, Origin: r.object.Origin})
		case rev != nil:
			r.Pods = append(r.Pods, r.build(rev, m.Key.Name))
		case r.hashLabel == "" && !m.made:
			r.Pods = append(r.Pods, r.build(&Revision{Template: r.template}, m.Key.Name))
		default:
			r.Unreadable = append(r.Unreadable, m.Key)
		}
	}
	slices.SortFunc(r.Pods, func(a, b *pod.Desired) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
	slices.SortFunc(r.Ended, func(a, b Ended) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
	r.status()
	r.Plan = append(r.Plan, r.plan()...)
}

// end takes a member off.
func (r *decider) end(m *member, why string) {
	r.members = slices.DeleteFunc(r.members, func(o *member) bool { return o == m })
	if m.made {
		r.Ended = append(r.Ended, Ended{m.Key, why})
		r.stop(m.Pod)
	} else {
		delete(r.used, m.Key.Name)
		delete(r.next, m.Revision)
	}
}

// stop counts a pod on its way out.
func (r *decider) stop(p Pod) {
	r.stopping++
	if p.Serving {
		r.leaving++
	}
}

// add puts a new pod of a revision among the members. Its name is the first of
// its revision that nobody has.
func (r *decider) add(hash string) {
	owner := r.object.ObjectKey
	for index := r.next[hash]; ; index++ {
		key := pod.Key{Namespace: r.meta.Namespace, Name: PodName(owner, hash, index)}
		if name := key.Name; !r.used[name] && !r.have.Others[key] {
			r.used[name], r.next[hash] = true, index+1
			r.members = append(r.members, &member{Pod: Pod{Key: key, Revision: hash}})
			return
		}
	}
}

// crashes are those of the pods of a revision, by name.
func (r *decider) crashes(hash string) map[string]int {
	var counts map[string]int
	for i := range r.have.Pods {
		if p := &r.have.Pods[i]; p.Revision == hash && p.Crashes > 0 {
			if counts == nil {
				counts = map[string]int{}
			}
			counts[p.Key.Name] = p.Crashes
		}
	}
	return counts
}

// count counts the members that are so.
func (r *decider) count(so func(*member) bool) int {
	n := 0
	for _, m := range r.members {
		if so(m) {
			n++
		}
	}
	return n
}

func (r *decider) fresh(m *member) bool { return m.Revision == r.rec.Target }
func (r *decider) old(m *member) bool   { return m.Revision != r.rec.Target }
func available(m *member) bool          { return m.available }

func (r *decider) upToDate(m *member) bool { return r.fresh(m) && m.available }

// plural is "1 pod", "2 pods".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
