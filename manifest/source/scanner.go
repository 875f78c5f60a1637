package source

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"

	"github.com/podstead/podstead/internal/ownfile"
	"github.com/podstead/podstead/pod"
)

// holdLimit is for how long files that can't be read yet, because they are
// being written, keep vanished ones from counting as removed: they may be the
// same ones, renamed.
const holdLimit = 2 * time.Second

// scanner looks at a directory and remembers what it saw. All its calls to
// the file system may hang, so it works in a goroutine that nobody waits for
// without a deadline; one scan at a time.
type scanner struct {
	config DirectoryConfig
	notify *inotify // nil when the kernel has none left
	memory map[string]*memory
	want   map[string]watch
}

// memory is what the scanner knows of one path.
type memory struct {
	// known tells that content was read here, now or in an earlier life.
	known bool
	// read and sum belong to the content that was parsed last.
	read signature
	sum  [sha256.Size]byte
	// fresh tells that the content was read so soon after its last change
	// that another change could have left the same signature.
	fresh bool
	// last is what was seen last, and since when it has been the same.
	last  signature
	since time.Time
	// gone is since when the path does not exist.
	gone time.Time
}

// scan is the outcome of looking at the directory once.
type scan struct {
	rejection *rejection // of the directory as a whole
	readings  []reading
	// again is when to look again because of something that is not settled.
	again time.Time
	// settled is false while files wait for being read or removed.
	settled bool
	// watchError is why changes are not noticed by the kernel's help.
	watchError error
}

func newScanner(config DirectoryConfig, notify *inotify, l ledger) *scanner {
	s := &scanner{config: config, notify: notify, memory: map[string]*memory{}}
	for path := range l.files {
		s.memory[path] = &memory{known: true}
	}
	return s
}

// scan looks at the directory. renamed names manifests that were renamed into
// place, and thus are whole.
func (s *scanner) scan(renamed map[string]bool) scan {
	root, err := follow(s.config.Path)
	if err != nil {
		_, watchError := s.watch(root, nil)
		return scan{rejection: rejectPath(err), watchError: watchError}
	}
	names, rejected := s.list(root)
	moved, watchError := s.watch(root, names)
	if rejected != nil {
		return scan{rejection: rejected, watchError: watchError}
	}
	out := scan{settled: true, watchError: watchError}
	now := time.Now()
	if moved {
		// What changed before the new watches were set made no event.
		out.again = now
	}
	there := map[string]bool{}
	unread := false
	for _, name := range names {
		path := filepath.Join(s.config.Path, name)
		g := s.look(path, renamed[name], now)
		if g.absent {
			continue
		}
		there[path] = true
		out.readings = append(out.readings, g.reading)
		out.again = earliest(out.again, g.again)
		out.settled = out.settled && !g.pending
		unread = unread || g.pending && !s.memory[path].known
	}
	s.miss(&out, there, unread, now)
	slices.SortFunc(out.readings, func(a, b reading) int { return strings.Compare(a.path, b.path) })
	return out
}

// glance is the outcome of looking at one file.
type glance struct {
	reading
	// absent: there is no such file any more.
	absent bool
	// pending: it changed, but is not settled enough to be read.
	pending bool
	// again is when to look again.
	again time.Time
}

// list returns the names of manifests in the directory, sorted.
func (s *scanner) list(root route) ([]string, *rejection) {
	info, err := os.Stat(root.real)
	if err != nil {
		return nil, rejectPath(err)
	}
	if !info.IsDir() {
		return nil, &rejection{ReasonUnreadable, fmt.Errorf("is %s (want a directory)", ownfile.Describe(info.Mode()))}
	}
	if err := errors.Join(root.untrusted, exclusive(root.real, info)); err != nil {
		return nil, &rejection{ReasonUntrusted, fmt.Errorf("only root may be able to write there: %w", err)}
	}
	if s.config.RequireMount {
		mounted, err := mountinfo.Mounted(root.real)
		if err != nil {
			return nil, rejectPath(err)
		}
		if !mounted {
			return nil, &rejection{ReasonMissing, errors.New("nothing is mounted on it (requireMount is set)")}
		}
	}
	entries, err := os.ReadDir(root.real)
	if err != nil {
		return nil, rejectPath(err)
	}
	var names []string
	for _, e := range entries {
		if isManifest(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// watch keeps the kernel's watches on everything that decides what the
// manifests are. It tells whether they moved.
func (s *scanner) watch(root route, names []string) (moved bool, err error) {
	want := map[string]watch{}
	add := func(steps []step, content bool) {
		for _, at := range steps {
			w := want[at.dir]
			if w.names == nil {
				w.names = map[string]bool{}
			}
			w.names[at.name] = true
			w.content = w.content || content
			want[at.dir] = w
		}
	}
	add(root.steps, false)
	w := want[root.real]
	w.manifests, w.content = true, true
	want[root.real] = w
	for _, name := range names {
		path := filepath.Join(root.real, name)
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			// A link that leads nowhere is watched as far as it goes.
			r, _ := follow(path)
			add(r.steps[len(root.steps):], true)
		}
	}
	moved = !reflect.DeepEqual(want, s.want)
	s.want = want
	if s.notify == nil {
		return false, nil
	}
	return moved, s.notify.watch(want)
}

// look reads one file if it changed and is settled: renamed into place, or
// left alone for the time that the configuration says.
func (s *scanner) look(path string, renamed bool, now time.Time) glance {
	m := s.memory[path]
	if m == nil {
		m = &memory{}
		s.memory[path] = m
	}
	m.gone = time.Time{}
	info, err := os.Stat(path)
	if err != nil {
		if _, gone := os.Lstat(path); errors.Is(gone, fs.ErrNotExist) {
			return glance{absent: true}
		}
		return glance{reading: s.fail(m, path, unreadableProblem(err))}
	}
	if !info.Mode().IsRegular() {
		return glance{reading: s.irregular(m, path, info.Mode())}
	}
	seen := signatureOf(info)
	if seen != m.last {
		m.last, m.since = seen, now
	}
	if m.known && seen == m.read && !m.fresh {
		return glance{reading: reading{path: path, same: true}}
	}
	quiet := seen.age(now) >= s.config.Settle || now.Sub(m.since) >= s.config.Settle
	if !quiet && (!renamed || !isRegular(path)) {
		return s.postpone(path, m.since)
	}
	return s.read(m, path, quiet, now)
}

func (s *scanner) postpone(path string, since time.Time) glance {
	return glance{reading: reading{path: path, same: true}, pending: true, again: since.Add(s.config.Settle)}
}

func (s *scanner) read(m *memory, path string, quiet bool, now time.Time) glance {
	if r, err := follow(path); err == nil && r.untrusted != nil {
		return glance{reading: s.fail(m, path, untrustedProblem(r.untrusted))}
	}
	c := readManifest(path, s.config.MaxBytes)
	if c.torn {
		m.last, m.since = c.signature, now
		return s.postpone(path, now)
	}
	if c.problem != nil {
		return glance{reading: s.fail(m, path, c.problem)}
	}
	g := glance{reading: reading{path: path}}
	if m.fresh = !quiet; m.fresh {
		g.again = now.Add(s.config.Settle)
	}
	sum := sha256.Sum256(c.data)
	unchanged := m.known && m.sum == sum
	m.known, m.read, m.sum = true, c.signature, sum
	if unchanged {
		g.same = true
	} else {
		g.parsed = s.config.Parse(c.data, s.origin(path))
	}
	return g
}

// fail forgets what was read, so that the file is read anew once it can be.
func (s *scanner) fail(m *memory, path string, problem *pod.Problem) reading {
	m.read, m.sum = signature{}, [sha256.Size]byte{}
	problem.Origin = s.origin(path)
	return reading{path: path, problem: problem}
}

// irregular ignores what never was a manifest, but keeps the pods of one that
// something else took the place of.
func (s *scanner) irregular(m *memory, path string, mode fs.FileMode) reading {
	problem := &pod.Problem{
		Severity: pod.Error, Reason: pod.ReasonUnreadable,
		Message: "is not a regular file", Got: ownfile.Describe(mode), Want: "a regular file",
	}
	if m.known {
		return s.fail(m, path, problem)
	}
	problem.Severity, problem.Consequence, problem.Origin = pod.Warning, "it is ignored", s.origin(path)
	return reading{path: path, parsed: Parsed{Problems: []pod.Problem{*problem}}}
}

// miss decides which vanished files count as removed: those that stay away
// for as long as an editor may need to put a new version in place.
func (s *scanner) miss(out *scan, there map[string]bool, unread bool, now time.Time) {
	for path, m := range s.memory {
		if there[path] {
			continue
		}
		if m.gone.IsZero() {
			m.gone = now
		}
		away := now.Sub(m.gone)
		if m.known && (away < s.config.Settle || unread && away < holdLimit) {
			out.readings = append(out.readings, reading{path: path, same: true})
			out.again, out.settled = earliest(out.again, now.Add(s.config.Settle)), false
			continue
		}
		delete(s.memory, path)
	}
}

func (s *scanner) origin(path string) pod.Origin {
	return pod.Origin{Source: s.config.Name, File: path}
}

func isRegular(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

func rejectPath(err error) *rejection {
	if errors.Is(err, fs.ErrNotExist) {
		return &rejection{ReasonMissing, err}
	}
	return &rejection{ReasonUnreadable, err}
}
