package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podstead/podstead/pod"
)

// unreadable returns what is known of a file that exists but can't be read.
func unreadable(previous file, problem pod.Problem) file {
	keys := keysOf(previous.pods)
	problem.Consequence = consequence(problem, keys, len(keys) > 0)
	previous.problems = []pod.Problem{problem}
	return previous
}

// merge returns what is known of a file after it was read: what is good in
// it, and the last good version of what is not.
func merge(previous file, parsed Parsed, orphans map[pod.Key]pod.Desired) file {
	broken := damageOf(parsed)
	kept := broken.keep(previous.pods, keysOf(parsed.Pods), orphans)
	next := file{
		pods:     append(slices.Clone(parsed.Pods), kept...),
		complete: previous.complete || broken.coveredBy(kept),
	}
	keptKeys := keysOf(kept)
	for _, p := range parsed.Problems {
		if p.Severity == pod.Error {
			p.Key = broken.keyOf(p)
			about := keptKeys
			if p.Key != (pod.Key{}) {
				about = []pod.Key{p.Key}
			}
			p.Consequence = consequence(p, about, len(about) > 0 && slices.Contains(keptKeys, about[0]))
		}
		next.problems = append(next.problems, p)
	}
	return next
}

// damage is what can be told of the documents of a file that can't be used.
type damage struct {
	keys  map[pod.Key]bool
	items map[int]pod.Key
	// blind tells of a document of which the pod isn't known.
	blind bool
}

func damageOf(parsed Parsed) damage {
	d := damage{keys: map[pod.Key]bool{}, items: map[int]pod.Key{}}
	good := map[int]bool{}
	for _, p := range parsed.Pods {
		good[p.Origin.Item] = true
	}
	for _, f := range parsed.Failed {
		d.items[f.Item] = f.Key
	}
	for _, p := range parsed.Problems {
		if _, listed := d.items[p.Origin.Item]; p.Severity == pod.Error && !listed && !good[p.Origin.Item] {
			d.items[p.Origin.Item] = p.Key
		}
	}
	for _, key := range d.items {
		if key == (pod.Key{}) {
			d.blind = true
		} else {
			d.keys[key] = true
		}
	}
	return d
}

// keep picks the last good versions that stand in for damaged documents.
// Where a document can't be told to be about a certain pod, it may be about
// any pod of the file that is missing now, so all of those are kept.
func (d damage) keep(previous []pod.Desired, good []pod.Key, orphans map[pod.Key]pod.Desired) []pod.Desired {
	var kept []pod.Desired
	have := map[pod.Key]bool{}
	for _, p := range previous {
		if (d.blind || d.keys[p.Key]) && !slices.Contains(good, p.Key) {
			kept = append(kept, p)
			have[p.Key] = true
		}
	}
	// A document that was moved here from a file which is gone, and broken on
	// the way, is still about its pod.
	for _, key := range sortedKeys(d.keys) {
		if p, ok := orphans[key]; ok && !have[key] && !slices.Contains(good, key) {
			kept = append(kept, p)
		}
	}
	return kept
}

// coveredBy tells whether something is known of every damaged document.
func (d damage) coveredBy(kept []pod.Desired) bool {
	keys := keysOf(kept)
	for key := range d.keys {
		if !slices.Contains(keys, key) {
			return false
		}
	}
	return !d.blind
}

func (d damage) keyOf(p pod.Problem) pod.Key {
	if p.Key != (pod.Key{}) {
		return p.Key
	}
	return d.items[p.Origin.Item]
}

// rejectDuplicates refuses pods that one file or answer wants more than once:
// nobody can tell which is meant.
func rejectDuplicates(parsed Parsed) Parsed {
	places := map[pod.Key][]string{}
	for _, p := range parsed.Pods {
		places[p.Key] = append(places[p.Key], p.Origin.String())
	}
	if len(places) == len(parsed.Pods) {
		return parsed
	}
	next := Parsed{Problems: slices.Clone(parsed.Problems), Failed: slices.Clone(parsed.Failed)}
	for _, p := range parsed.Pods {
		if len(places[p.Key]) == 1 {
			next.Pods = append(next.Pods, p)
			continue
		}
		next.Failed = append(next.Failed, Failed{Key: p.Key, Item: p.Origin.Item})
		next.Problems = append(next.Problems, pod.Problem{
			Origin: p.Origin, Severity: pod.Error, Reason: pod.ReasonConflict, Key: p.Key,
			Field:   "metadata.name",
			Message: fmt.Sprintf("pod %s is defined %d times in one file", p.Key, len(places[p.Key])),
			Got:     strings.Join(places[p.Key], " and "),
			Want:    "one definition",
		})
	}
	return next
}

func keysOf(pods []pod.Desired) []pod.Key {
	keys := make([]pod.Key, 0, len(pods))
	for _, p := range pods {
		keys = append(keys, p.Key)
	}
	return keys
}

func sortedKeys(set map[pod.Key]bool) []pod.Key {
	keys := make([]pod.Key, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

// consequence says what happens now to the pods that a problem concerns.
func consequence(p pod.Problem, keys []pod.Key, kept bool) string {
	switch {
	case p.Severity != pod.Error:
		return p.Consequence
	case !kept:
		return "nothing runs for it"
	case len(keys) == 1:
		return fmt.Sprintf("pod %s keeps running as before", keys[0])
	case len(keys) <= 5:
		names := make([]string, 0, len(keys))
		for _, key := range keys {
			names = append(names, key.String())
		}
		return fmt.Sprintf("pods %s keep running as before", strings.Join(names, ", "))
	default:
		return fmt.Sprintf("its %d pods keep running as before", len(keys))
	}
}
