package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/podstead/podstead/pod"
)

// saveRetry is how soon a failed write is tried again, so that a full disk is
// recovered from soon after there is space.
const saveRetry = 5 * time.Second

// saveDelay is how long a change waits to be written: what is done about it
// goes first, and changes that follow at once are written with it. The source
// has them meanwhile.
const saveDelay = 100 * time.Millisecond

// saver writes the ledgers of one source to disk in a goroutine of its own,
// so that a disk that hangs delays nothing. Only the newest matters.
type saver struct {
	store  *Store // nil: nothing is kept
	source string
	work   chan saved
	// results tells of each write; the newest replaces an unread one.
	results chan error
	// stored is the encoding of what is on the disk, without its time.
	stored string
	// frozen: the file belongs to a newer podstead.
	frozen bool
}

func newSaver(store *Store, source string) *saver {
	return &saver{store: store, source: source, work: make(chan saved, 1), results: make(chan error, 1)}
}

// load returns what was kept. ok is false when there is nothing; the problem,
// if any, says why.
func (s *saver) load(origin pod.Origin) (l ledger, state saved, ok bool, problem *pod.Problem) {
	if s.store == nil {
		return ledger{}, saved{}, false, nil
	}
	state, err := s.store.load(s.source)
	switch {
	case err == nil:
		s.stored = fingerprint(state)
		return restored(state), state, true, nil
	case errors.Is(err, errNoCopy):
		return ledger{}, saved{}, false, nil
	}
	s.frozen = errors.Is(err, errVersion)
	consequence := "it is rebuilt from the source; what can't be read there now is not known"
	if s.frozen {
		consequence = "it is neither read nor replaced; after a restart only what the source holds is known"
	}
	return ledger{}, saved{}, false, storeProblem(origin, err, consequence)
}

// put hands a ledger over for writing. It never blocks.
func (s *saver) put(l ledger) {
	if s.store == nil || s.frozen {
		return
	}
	select {
	case <-s.work:
	default:
	}
	s.work <- snapshot(l)
}

// run writes until ctx ends, and then what is left to write.
func (s *saver) run(ctx context.Context) {
	var unwritten *saved
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case state := <-s.work:
			if unwritten == nil { // else it is written with that one
				due.Reset(saveDelay)
			}
			unwritten = &state
		case <-due.C:
			if unwritten == nil {
				continue
			}
			if unwritten = s.write(*unwritten); unwritten != nil {
				due.Reset(saveRetry)
			}
		case <-ctx.Done():
			select {
			case state := <-s.work:
				unwritten = &state
			default:
			}
			if unwritten != nil {
				s.write(*unwritten)
			}
			return
		}
	}
}

// write returns the state if it couldn't be written.
func (s *saver) write(state saved) (failed *saved) {
	mark := fingerprint(state)
	if mark == s.stored {
		return nil
	}
	err := s.store.save(s.source, state)
	if err == nil {
		s.stored = mark
	} else {
		failed = &state
		s.stored = "" // who knows what is there
	}
	select {
	case <-s.results:
	default:
	}
	s.results <- err
	return failed
}

func storeProblem(origin pod.Origin, err error, consequence string) *pod.Problem {
	return &pod.Problem{
		Origin: origin, Severity: pod.Warning, Reason: pod.ReasonUnreadable,
		Message: err.Error(), Consequence: consequence,
	}
}

func writeProblem(origin pod.Origin, err error) *pod.Problem {
	if err == nil {
		return nil
	}
	return storeProblem(origin, err, fmt.Sprintf(
		"everything goes on; the previous copy is kept, and writing is tried again every %v", saveRetry))
}

// fingerprint tells states apart by everything but their time.
func fingerprint(state saved) string {
	state.Time = time.Time{}
	data, err := json.Marshal(state)
	if err != nil {
		return ""
	}
	return checksum(data)
}

func snapshot(l ledger) saved {
	state := saved{Time: time.Now().UTC()}
	for _, path := range slices.Sorted(maps.Keys(l.files)) {
		state.Files = append(state.Files, savedFile{Path: path, Complete: l.files[path].complete})
	}
	for _, e := range l.wanted {
		if e.Kind == pod.KindPod {
			state.Wanted = append(state.Wanted, savedEntry{File: e.file, Desired: desiredOf(e.Object)})
		} else {
			state.Objects = append(state.Objects, savedObject{File: e.file, Object: e.Object})
		}
	}
	return state
}

func restored(state saved) ledger {
	l := ledger{files: map[string]file{}}
	for _, f := range state.Files {
		l.files[f.Path] = file{complete: f.Complete}
	}
	add := func(path string, o pod.Object) {
		f := l.files[path]
		f.objects = append(f.objects, o)
		l.files[path] = f
		l.wanted = append(l.wanted, entry{file: path, Object: o})
	}
	for _, w := range state.Wanted {
		add(w.File, objectOf(w.Desired))
	}
	for _, w := range state.Objects {
		add(w.File, w.Object)
	}
	sortEntries(l.wanted)
	return l
}
