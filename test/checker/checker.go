// Package checker judges a test run by what was written down while it ran:
// the witnesses' diaries, the changes of manifests and the faults. It knows
// nothing of podstead, so that podstead is not its own judge.
package checker

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/podstead/podstead/test/record"
)

// Verdict is a kind of failure.
type Verdict string

// The verdicts.
const (
	// Lost: a wanted container did not live for longer than the bound.
	Lost Verdict = "LOST"
	// Duplicate: two processes of one name lived at once.
	Duplicate Verdict = "DUPLICATE"
	// UnexplainedRestart: a run began without its predecessor's own end, a
	// change of what is wanted, a fault on that container, or a reboot.
	UnexplainedRestart Verdict = "UNEXPLAINED_RESTART"
	// ZombiePod: a container lived too long after its pod was removed.
	ZombiePod Verdict = "ZOMBIE_POD"
	// WrongGeneration: a container ran what was not wanted then.
	WrongGeneration Verdict = "WRONG_GENERATION"
)

// Finding is one failure.
type Finding struct {
	Verdict Verdict
	ID      string
	At      record.Moment
	Text    string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s %s at %s: %s", f.Verdict, f.ID, f.At, f.Text)
}

// Bounds are what is still in order.
type Bounds struct {
	// Recovery is within what a wanted container must live (again), not
	// counting the time of faults above the containers.
	Recovery time.Duration
	// Beat is how late a beat may come on a busy machine.
	Beat time.Duration
}

// History is everything that was written down.
type History struct {
	Witnesses map[string][]record.Witness
	// Beats are the last beats of each witness's runs.
	Beats     map[string]map[record.Moment]record.Moment
	Manifests []record.Manifest
	Faults    []record.Fault
	// End is when the harness stopped looking.
	End record.Moment
}

// ID is the name of the witness that is a container of a pod ("ns/name").
func ID(pod, container string) string {
	return strings.ReplaceAll(pod, "/", "_") + "_" + container
}

// Load reads a history: the witnesses' folder, and the harness's two logs.
func Load(dir, manifests, faults string, end record.Moment) (History, error) {
	h := History{Witnesses: map[string][]record.Witness{}, Beats: map[string]map[record.Moment]record.Moment{}, End: end}
	var err error
	if h.Manifests, err = record.Load[record.Manifest](manifests); err != nil {
		return h, err
	}
	if h.Faults, err = record.Load[record.Fault](faults); err != nil {
		return h, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return h, err
	}
	for _, path := range paths {
		id := strings.TrimSuffix(filepath.Base(path), ".jsonl")
		if h.Witnesses[id], err = record.Load[record.Witness](path); err != nil {
			return h, err
		}
		if h.Beats[id], err = record.LastBeats(dir, id); err != nil {
			return h, err
		}
	}
	return h, nil
}

// Check returns every failure in a history, in the order of time.
func Check(h History, b Bounds) []Finding {
	var found []Finding
	for id, wanted := range wishes(h) {
		c := container{id: id, wanted: wanted, runs: runsOf(h, id), history: h, bounds: b}
		for _, e := range h.Witnesses[id] {
			if e.Event == record.Duplicate {
				c.find(Duplicate, e.At, "another one held the lock")
			}
		}
		c.checkRuns()
		c.checkLost()
		found = append(found, c.found...)
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Verdict, b.Verdict))
	})
	return found
}

// wish is what was wanted of one container for a time.
type wish struct {
	from, to   record.Moment
	generation string // empty: it was not wanted
	grace      time.Duration
	final      bool // its own exit is its last
}

// wishes returns what was wanted of each container over time, without gaps
// from the first manifest that names it. A manifest that changes nothing for
// a container begins no new wish. Witnesses nobody wanted have none.
func wishes(h History) map[string][]wish {
	all := map[string][]wish{}
	for id := range h.Witnesses {
		all[id] = nil
	}
	for _, m := range h.Manifests {
		for name := range m.Containers {
			all[ID(m.Pod, name)] = nil
		}
	}
	for id := range all {
		for _, m := range h.Manifests {
			name, ok := strings.CutPrefix(id, strings.ReplaceAll(m.Pod, "/", "_")+"_")
			if !ok || strings.Contains(name, "_") {
				continue
			}
			w := wish{from: m.At, to: h.End, generation: m.Containers[name], grace: m.Grace, final: slices.Contains(m.Final, name)}
			all[id] = follow(all[id], w)
		}
	}
	return all
}

// follow appends a wish to those before it.
func follow(before []wish, w wish) []wish {
	n := len(before)
	if n == 0 {
		return []wish{w}
	}
	last := &before[n-1]
	if last.generation == w.generation && last.final == w.final {
		last.grace = max(last.grace, w.grace)
		return before
	}
	last.to = w.from
	return append(before, w)
}

// run is one life of a witness.
type run struct {
	from, to   record.Moment
	generation string
	bootID     string
	ended      bool // by its own decision or after a signal
	signalled  bool
}

func runsOf(h History, id string) []run {
	var runs []run
	for _, e := range h.Witnesses[id] {
		switch last := len(runs) - 1; {
		case e.Event == record.Start:
			end := max(e.At, h.Beats[id][e.Run])
			runs = append(runs, run{from: e.At, to: end, generation: e.Generation, bootID: e.BootID})
		case last < 0:
		case e.Event == record.Exit:
			runs[last].ended = true
			runs[last].to = max(runs[last].to, e.At)
			runs[last].signalled = runs[last].signalled || e.Signal != 0
		case e.Event == record.Term:
			runs[last].signalled = true
		}
	}
	return runs
}
