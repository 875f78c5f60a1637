package workload

import (
	"cmp"
	"fmt"
	"slices"
)

// roll brings the pods to their number and revision as far as that goes now.
// What it ends and adds counts at once, so that the outcome is all that is to
// be done before something is observed.
func (r *decider) roll() {
	target := r.rec.Revision(r.rec.Target)
	switch {
	case target == nil && r.n > 0:
		return // nothing was ever made, and nothing may be yet
	case r.n == 0:
		r.endAll()
	case r.frozen:
		for r.freeze() {
		}
	default:
		o := r.orderOf(target)
		r.free = fits(requests(&target.Template.Spec), r.have.Free)
		for r.step(o, r.goesOn(target)) {
		}
	}
}

// goesOn tells whether the target may take the place of others: nothing makes
// way for one that can't be had, or that failed while another one waits.
func (r *decider) goesOn(target *Revision) bool {
	switch {
	case r.count(r.old) == 0:
		return true
	case target.Failure != nil && r.rec.Held.Revision != "":
		return false
	default:
		return r.count(r.fresh) >= r.n || r.gate(target.Hash).open
	}
}

func (r *decider) endAll() {
	why := "scaled to 0"
	if !r.where.stays {
		why = "this server does not run it: " + r.where.why
	}
	for len(r.members) > 0 {
		r.end(r.members[0], why)
	}
}

// step does one thing of the rolling update; it reports false when nothing is
// left to do. The rules are those of Kubernetes' deployment controller.
func (r *decider) step(o order, open bool) bool {
	fresh := r.count(r.fresh)
	switch {
	case fresh > r.n:
		r.end(r.victim(r.fresh), r.scaledDown())
		return true
	case len(r.members) > r.n+o.surge:
		// It was scaled down in the middle: what is not available goes first,
		// so as many as wanted stay.
		r.end(r.victim(all), r.scaledDown())
		return true
	}
	if add := min(r.n-fresh, r.room(o, open)); add > 0 {
		for range add {
			r.add(r.rec.Target)
		}
		r.free -= add
		return true
	}
	return r.makeWay(o, open)
}

// room is how many pods of the target may be added.
func (r *decider) room(o order, open bool) int {
	old := r.count(r.old)
	room := r.n + o.surge - len(r.members)
	least := r.n - len(r.members)
	if o.inTurn {
		room -= r.stopping
		least -= r.stopping
	}
	switch {
	case o.apart && old+r.stopping > 0, o.alone && r.stopping > 0:
		return 0
	case !open:
		return least
	case r.stopping > 0:
		return min(room, r.free)
	case old > 0:
		return min(room, max(r.free, least))
	}
	return room
}

// awaitsHand tells whether pods stay until somebody ends them. Nobody deletes
// pods of a workload here as kubectl would: restart and undo are the hand that
// OnDelete waits for, once what they ask for is the target, and a rollback
// takes back what they did.
func (r *decider) awaitsHand() bool {
	drift := r.rec.Drift
	asked := (drift.RestartedAt != "" || drift.Undo != "") && r.rec.Target == r.declared
	return r.onDelete && !asked && !r.rec.Rollout.Rollback
}

// makeWay ends one old pod if that may be: first those that are not available
// anyway, then as many as may be missing.
func (r *decider) makeWay(o order, open bool) bool {
	if !open || r.awaitsHand() {
		return false
	}
	least := max(r.n-o.missing, 0)
	here := r.count(available)
	coming := r.count(func(m *member) bool { return r.fresh(m) && !m.available })
	unhealthy := func(m *member) bool { return r.old(m) && !m.available }
	healthy := func(m *member) bool { return r.old(m) && m.available }
	switch {
	case r.count(unhealthy) > 0 && len(r.members)-least-coming > 0:
		r.replace(r.victim(unhealthy))
	case r.count(healthy) > 0 && here > least:
		r.replace(r.victim(healthy))
	default:
		return false
	}
	return true
}

// freeze brings the pods to their number while rollouts are paused, or no pods
// may be added. In the middle of a rollout there may be as many as it allows,
// and what is added is of the revision that most pods are of: not of one that
// failed, and not beside pods that it can't be beside.
func (r *decider) freeze() bool {
	least, most := r.n, r.n
	counts := map[string]int{}
	for _, m := range r.members {
		counts[m.Revision]++
	}
	base := r.rec.Target
	if len(counts) > 1 {
		surge, _ := r.bounds(r.n)
		most += surge
	}
	for _, rev := range r.rec.Revisions {
		if counts[rev.Hash] > counts[base] && rev.Failure == nil {
			base = rev.Hash
		}
	}
	switch {
	case len(r.members) > most:
		r.end(r.victim(all), r.scaledDown())
	case len(r.members) < least && !r.closed && !r.crowded(base, counts):
		r.add(base)
	default:
		return false
	}
	return true
}

// crowded tells whether a pod of a revision may not start because of others.
func (r *decider) crowded(hash string, counts map[string]int) bool {
	if counts[hash] == len(r.members) && r.stopping == 0 {
		return false
	}
	rev := r.rec.Revision(hash)
	if rev == nil {
		return false
	}
	o := r.orderOf(rev)
	return o.apart || o.alone && r.stopping > 0
}

func all(*member) bool { return true }

// victim chooses which of some members ends first: one that is not available,
// not ready, of the oldest revision, the younger, the one that crashed more.
// There is at least one.
func (r *decider) victim(of func(*member) bool) *member {
	var candidates []*member
	for _, m := range r.members {
		if of(m) {
			candidates = append(candidates, m)
		}
	}
	return slices.MinFunc(candidates, func(a, b *member) int {
		return cmp.Or(
			truth(a.available, b.available), truth(a.ready, b.ready), truth(r.fresh(a), r.fresh(b)), truth(a.made, b.made),
			cmp.Compare(r.number(a), r.number(b)), cmp.Compare(b.Ready.Moment, a.Ready.Moment),
			cmp.Compare(b.Crashes, a.Crashes), cmp.Compare(b.Key.Name, a.Key.Name),
		)
	})
}

func (r *decider) number(m *member) int64 {
	if rev := r.rec.Revision(m.Revision); rev != nil {
		return rev.Number
	}
	return 0
}

// truth orders what is not so before what is.
func truth(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func (r *decider) scaledDown() string {
	return fmt.Sprintf("scaled down to %s", plural(r.n, "pod", "pods"))
}

// replace ends an old pod in favour of the target.
func (r *decider) replace(m *member) {
	why := r.describe(r.rec.Revision(r.rec.Target)) + " replaces it"
	if rev := r.rec.Revision(m.Revision); rev != nil && rev.Failure != nil {
		why = r.describe(rev) + " failed, " + why
	}
	r.end(m, why)
}
