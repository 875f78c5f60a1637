package source

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/podstead/podstead/pod"
)

// entry is a wanted pod and the file that it is wanted by. The file can
// differ from its origin when the document moved and is broken since.
type entry struct {
	file string
	pod.Desired
}

// file is what is known of one file, or of the answer of a URL.
type file struct {
	// pods are those accepted last, and kept ones.
	pods     []pod.Desired
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
// that no reading is given for are gone, and with them their pods.
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

// orphans are the pods of files which are gone.
func (l ledger) orphans(readings []reading) map[pod.Key]pod.Desired {
	there := make(map[string]bool, len(readings))
	for _, r := range readings {
		there[r.path] = true
	}
	orphans := map[pod.Key]pod.Desired{}
	for _, e := range l.wanted {
		if !there[e.file] {
			orphans[e.Key] = e.Desired
		}
	}
	return orphans
}

// collect lists the pods of all files, sorted by key, file and item.
func collect(files map[string]file) []entry {
	var all []entry
	for _, path := range slices.Sorted(maps.Keys(files)) {
		for _, d := range files[path].pods {
			all = append(all, entry{file: path, Desired: d})
		}
	}
	sortEntries(all)
	return all
}

func sortEntries(all []entry) {
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(
			compareKeys(a.Key, b.Key),
			strings.Compare(a.file, b.file),
			cmp.Compare(a.Origin.Item, b.Origin.Item),
		)
	})
}

func compareKeys(a, b pod.Key) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// pods returns what is wanted, for pod.SourceState.
func (l ledger) pods() []pod.Desired {
	pods := make([]pod.Desired, 0, len(l.wanted))
	for _, e := range l.wanted {
		pods = append(pods, e.Desired)
	}
	return pods
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
