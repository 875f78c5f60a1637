package source

import (
	"sort"

	"github.com/podstead/podstead/pod"
)

// limited applies the limits on the whole source. Where they are exceeded,
// the objects that are wanted already stay as they are, and of what is new or
// changed only as much is taken, in the order of keys, as does not exceed the
// limits further. So a newcomer never drives out a running pod.
func (l ledger) limited(files map[string]file, limits Limits) ledger {
	candidates := collect(files)
	next := ledger{files: files, wanted: candidates}
	if limits == nil {
		return next
	}
	if len(errorsOf(limits(next.objects()))) == 0 {
		return next
	}
	c := l.changes(candidates)
	bound := len(errorsOf(limits(c.with(0).objects())))
	taken := sort.Search(len(c.order), func(n int) bool {
		return len(errorsOf(limits(c.with(n+1).objects()))) > bound
	})
	next.wanted = c.with(taken).wanted
	if taken == len(c.order) {
		return next
	}
	why := errorsOf(limits(c.with(taken + 1).objects()))[0]
	for _, at := range c.order[taken:] {
		next.refused = append(next.refused, refuse(why, candidates[at], c.before[at] != nil))
	}
	return next
}

// changes tells what of the candidates is new or changed.
type changes struct {
	candidates []entry
	// before is the version of a candidate that was wanted so far, nil if none.
	before []*entry
	// order are the candidates that changed, and then the new ones.
	order []int
}

func (l ledger) changes(candidates []entry) changes {
	type place struct {
		file string
		key  pod.ObjectKey
	}
	here, anywhere := map[place]*entry{}, map[pod.ObjectKey]*entry{}
	for i := range l.wanted {
		e := &l.wanted[i]
		here[place{e.file, e.ObjectKey}], anywhere[e.ObjectKey] = e, e
	}
	c := changes{candidates: candidates, before: make([]*entry, len(candidates))}
	var added []int
	for i, e := range candidates {
		before := here[place{e.file, e.ObjectKey}]
		if before == nil {
			before = anywhere[e.ObjectKey]
		}
		c.before[i] = before
		switch {
		case before == nil:
			added = append(added, i)
		case before.Content() != e.Content():
			c.order = append(c.order, i)
		}
	}
	c.order = append(c.order, added...)
	return c
}

// with returns what is wanted when the first n changes are taken.
func (c changes) with(n int) ledger {
	taken := make(map[int]bool, n)
	for _, at := range c.order[:n] {
		taken[at] = true
	}
	var l ledger
	for i, e := range c.candidates {
		switch before := c.before[i]; {
		case taken[i]:
			l.wanted = append(l.wanted, e)
		case before != nil:
			l.wanted = append(l.wanted, entry{file: e.file, Object: before.Object})
		}
	}
	return l
}

func errorsOf(problems []pod.Problem) []pod.Problem {
	var errs []pod.Problem
	for _, p := range problems {
		if p.Severity == pod.Error {
			errs = append(errs, p)
		}
	}
	return errs
}

// refuse turns the reason why a limit is exceeded into the problem of an
// object.
func refuse(why pod.Problem, e entry, kept bool) pod.Problem {
	if why.Object() != e.ObjectKey {
		why.Field = "" // it is another object's
	}
	why.Kind, why.Key, why.Origin = e.Kind, e.Key, e.Origin
	why.Consequence = consequence(why, []pod.ObjectKey{e.ObjectKey}, kept)
	return why
}
