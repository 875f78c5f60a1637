package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podstead/podstead/pod"
)

// unreadable returns what is known of a file that exists but can't be read.
func unreadable(previous file, problem pod.Problem) file {
	keys := keysOf(previous.objects)
	problem.Consequence = consequence(problem, keys, len(keys) > 0)
	previous.problems = []pod.Problem{problem}
	return previous
}

// merge returns what is known of a file after it was read: what is good in
// it, and the last good version of what is not.
func merge(previous file, parsed Parsed, orphans []pod.Object) file {
	broken := damageOf(parsed)
	kept := broken.keep(previous.objects, keysOf(parsed.All()), orphans)
	next := file{
		objects:  append(parsed.All(), kept...),
		complete: previous.complete || broken.coveredBy(kept),
	}
	keptKeys := keysOf(kept)
	for _, p := range parsed.Problems {
		if p.Severity == pod.Error {
			key := broken.keyOf(p)
			p.Kind, p.Key = key.Kind, key.Key
			about := keptKeys
			if key != (pod.ObjectKey{}) {
				about = slices.DeleteFunc(slices.Clone(keptKeys), func(k pod.ObjectKey) bool { return !mayBe(key, k) })
			}
			p.Consequence = consequence(p, about, len(about) > 0)
		}
		next.problems = append(next.problems, p)
	}
	return next
}

// damage is what can be told of the documents of a file that can't be used.
type damage struct {
	keys  map[pod.ObjectKey]bool
	items map[int]pod.ObjectKey
	// blind tells of a document of which the object isn't known.
	blind bool
}

func damageOf(parsed Parsed) damage {
	d := damage{keys: map[pod.ObjectKey]bool{}, items: map[int]pod.ObjectKey{}}
	good := map[int]bool{}
	for _, o := range parsed.All() {
		good[o.Origin.Item] = true
	}
	for _, f := range parsed.Failed {
		d.items[f.Item] = f.Key
	}
	for _, p := range parsed.Problems {
		if _, listed := d.items[p.Origin.Item]; p.Severity == pod.Error && !listed && !good[p.Origin.Item] {
			d.items[p.Origin.Item] = p.Object()
		}
	}
	for _, key := range d.items {
		if key == (pod.ObjectKey{}) {
			d.blind = true
		} else {
			d.keys[key] = true
		}
	}
	return d
}

// mayBe tells whether a broken document of the one key may be what became of
// an object of the other: the same one, or a workload of that name that was
// made another kind of workload. Without a kind it may be any of that name.
func mayBe(broken, object pod.ObjectKey) bool {
	return broken.Key == object.Key &&
		(broken.Kind == object.Kind || broken.Kind == "" || broken.Kind.IsWorkload() && object.Kind.IsWorkload())
}

// about tells whether any broken document may be about an object.
func (d damage) about(object pod.ObjectKey) bool {
	for key := range d.keys {
		if mayBe(key, object) {
			return true
		}
	}
	return false
}

// keep picks the last good versions that stand in for damaged documents.
// Where a document can't be told to be about a certain object, it may be about
// any object of the file that is missing now, so all of those are kept.
func (d damage) keep(previous []pod.Object, good []pod.ObjectKey, orphans []pod.Object) []pod.Object {
	var kept []pod.Object
	have := map[pod.ObjectKey]bool{}
	for _, o := range previous {
		if (d.blind || d.about(o.ObjectKey)) && !slices.Contains(good, o.ObjectKey) {
			kept = append(kept, o)
			have[o.ObjectKey] = true
		}
	}
	// A document that was moved here from a file which is gone, and broken on
	// the way, is still about its object.
	for _, o := range orphans {
		if d.about(o.ObjectKey) && !have[o.ObjectKey] && !slices.Contains(good, o.ObjectKey) {
			kept = append(kept, o)
			have[o.ObjectKey] = true
		}
	}
	return kept
}

// coveredBy tells whether something is known of every damaged document.
func (d damage) coveredBy(kept []pod.Object) bool {
	for key := range d.keys {
		if !slices.ContainsFunc(kept, func(o pod.Object) bool { return mayBe(key, o.ObjectKey) }) {
			return false
		}
	}
	return !d.blind
}

func (d damage) keyOf(p pod.Problem) pod.ObjectKey {
	if p.Key != (pod.Key{}) {
		return p.Object()
	}
	return d.items[p.Origin.Item]
}

// rejectDuplicates refuses objects that one file or answer wants more than
// once: nobody can tell which is meant.
func rejectDuplicates(parsed Parsed) Parsed {
	all := parsed.All()
	places := map[pod.ObjectKey][]string{}
	for _, o := range all {
		places[o.ObjectKey] = append(places[o.ObjectKey], o.Origin.String())
	}
	if len(places) == len(all) {
		return parsed
	}
	next := Parsed{Problems: slices.Clone(parsed.Problems), Failed: slices.Clone(parsed.Failed)}
	for _, o := range all {
		if len(places[o.ObjectKey]) == 1 {
			next.add(o)
			continue
		}
		next.Failed = append(next.Failed, Failed{Key: o.ObjectKey, Item: o.Origin.Item})
		next.Problems = append(next.Problems, pod.Problem{
			Origin: o.Origin, Severity: pod.Error, Reason: pod.ReasonConflict, Kind: o.Kind, Key: o.Key,
			Field:   "metadata.name",
			Message: fmt.Sprintf("%s is defined %d times in one file", called(o.ObjectKey), len(places[o.ObjectKey])),
			Got:     strings.Join(places[o.ObjectKey], " and "),
			Want:    "one definition",
		})
	}
	return next
}

func keysOf(objects []pod.Object) []pod.ObjectKey {
	keys := make([]pod.ObjectKey, 0, len(objects))
	for _, o := range objects {
		keys = append(keys, o.ObjectKey)
	}
	return keys
}
