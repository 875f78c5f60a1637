package source

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/podstead/podstead/pod"
)

// entry is a wanted object, a pod or another, and the file that it is wanted
// by. The file can differ from its origin when the document moved and is
// broken since.
type entry struct {
	file string
	pod.Object
}

// file is what is known of one file, or of the answer of a URL.
type file struct {
	// objects are those accepted last, and kept ones.
	objects  []pod.Object
	problems []pod.Problem
	// complete tells that the whole content was known at least once: every
	// document was accepted or had a last good version. Until then, pods may
	// run from this file that podstead doesn't know of.
	complete bool
}

// reading is the outcome of looking at one file.
type reading struct {
	path string
	// same tells that nothing changed since the last reading.
	same bool
	// problem tells why the file can't be read; nil when it was.
	problem *pod.Problem
	parsed  Parsed
}

// ledger is everything known of a source. It is a value: next makes a new
// one, nobody changes an old one.
type ledger struct {
	files   map[string]file
	wanted  []entry
	refused []pod.Problem // by limits on the whole source
}

// next returns the ledger after all files of the source were looked at. Files
// that no reading is given for are gone, and with them their objects.
func (l ledger) next(readings []reading, limits Limits) ledger {
	files := make(map[string]file, len(readings))
	orphans := l.orphans(readings)
	for _, r := range readings {
		previous, known := l.files[r.path]
		switch {
		case r.same && known:
			files[r.path] = previous
		case r.same:
			// Pending, and never read before.
			files[r.path] = file{}
		case r.problem != nil:
			files[r.path] = unreadable(previous, *r.problem)
		default:
			files[r.path] = merge(previous, rejectDuplicates(r.parsed), orphans)
		}
	}
	return l.limited(files, limits)
}

// orphans are the objects of files which are gone.
func (l ledger) orphans(readings []reading) []pod.Object {
	there := make(map[string]bool, len(readings))
	for _, r := range readings {
		there[r.path] = true
	}
	var orphans []pod.Object
	for _, e := range l.wanted {
		if !there[e.file] {
			orphans = append(orphans, e.Object)
		}
	}
	return orphans
}

// collect lists the objects of all files, sorted by key, file and item.
func collect(files map[string]file) []entry {
	var all []entry
	for _, path := range slices.Sorted(maps.Keys(files)) {
		for _, o := range files[path].objects {
			all = append(all, entry{file: path, Object: o})
		}
	}
	sortEntries(all)
	return all
}

func sortEntries(all []entry) {
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(
			a.Compare(b.ObjectKey),
			strings.Compare(a.file, b.file),
			cmp.Compare(a.Origin.Item, b.Origin.Item),
		)
	})
}

// objects returns what is wanted, pods included.
func (l ledger) objects() []pod.Object {
	objects := make([]pod.Object, 0, len(l.wanted))
	for _, e := range l.wanted {
		objects = append(objects, e.Object)
	}
	return objects
}

// split returns what is wanted for pod.SourceState: pods, and the rest.
func (l ledger) split() (pods []pod.Desired, others []pod.Object) {
	pods = make([]pod.Desired, 0, len(l.wanted))
	for _, e := range l.wanted {
		if e.Kind == pod.KindPod {
			pods = append(pods, desiredOf(e.Object))
		} else {
			others = append(others, e.Object)
		}
	}
	return pods, others
}

func desiredOf(o pod.Object) pod.Desired {
	return pod.Desired{Key: o.Key, Pod: o.Pod, Origin: o.Origin, Warnings: o.Warnings}
}

func objectOf(d pod.Desired) pod.Object {
	return pod.Object{
		ObjectKey: pod.ObjectKey{Kind: pod.KindPod, Key: d.Key},
		Pod:       d.Pod, Origin: d.Origin, Warnings: d.Warnings,
	}
}

// problems returns every problem, by file and position.
func (l ledger) problems() []pod.Problem {
	var all []pod.Problem
	for _, path := range slices.Sorted(maps.Keys(l.files)) {
		all = append(all, l.files[path].problems...)
	}
	return append(all, l.refused...)
}

// unreadable lists the files of which the content was never wholly known.
func (l ledger) unreadable() []string {
	var paths []string
	for path, f := range l.files {
		if !f.complete {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}
