package source

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/podstead/podstead/pod"
)

// The law of these tests: no object leaves what is wanted without a successfully
// read document or answer that omits it, or a file that was removed.

const walkSteps = 1000

// someDocs makes a file of random documents: good, broken, repeated, garbage.
func someDocs(random *rand.Rand, most int) string {
	var parts []string
	for range random.IntN(most + 1) {
		name := string(rune('a' + random.IntN(4)))
		kind := []pod.Kind{pod.KindPod, pod.KindPod, pod.KindDeployment, pod.KindService}[random.IntN(4)]
		switch random.IntN(10) {
		case 0:
			parts = append(parts, docOf(kind, name, "BAD"))
		case 1:
			parts = append(parts, "{{{ garbage")
		case 2:
			parts = append(parts, docOf("ConfigMap", name, "v1"))
		default:
			parts = append(parts, docOf(kind, name, fmt.Sprint("v", random.IntN(3))))
		}
	}
	if len(parts) == 0 {
		return "kind: List\nitems: []\n"
	}
	return docs(parts...)
}

// omits tells whether a content, read on its own, leaves no doubt that it is
// not about an object.
func omits(content string, k pod.ObjectKey) bool {
	parsed := parse([]byte(content), pod.Origin{})
	for _, o := range parsed.All() {
		if o.ObjectKey == k {
			return false
		}
	}
	for _, f := range parsed.Failed {
		named := f.Key.Key == k.Key && (f.Key.Kind == "" || f.Key.Kind == k.Kind)
		converted := f.Key.Key == k.Key && f.Key.Kind != pod.KindService && k.Kind != pod.KindService
		if named || converted || f.Key == (pod.ObjectKey{}) {
			return false
		}
	}
	return true
}

func left(before, after []entry) []entry {
	var gone []entry
	for _, e := range before {
		if !slices.ContainsFunc(after, func(x entry) bool { return x.ObjectKey == e.ObjectKey }) {
			gone = append(gone, e)
		}
	}
	return gone
}

func TestRandomWalkOfAnswers(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	u, err := NewURL(poll("http://test.invalid/", func(c *URLConfig) { c.Guard.Confirm = 30 * time.Second }))
	if err != nil {
		t.Fatal(err)
	}
	r := u.newRun(func(pod.SourceState) {})
	now := time.Now()
	var since []time.Time // of answers in a row that would remove much
	removed, held := 0, 0
	for step := range walkSteps {
		now = now.Add(time.Duration(random.IntN(20)) * time.Second)
		before := r.ledger.wanted
		body := ""
		switch random.IntN(5) {
		case 0:
			r.finish(polled{rejected: &rejection{ReasonStatus, errors.New("status 500")}}, now)
		case 1:
			r.finish(polled{answer: answer{unchanged: true}}, now)
		default:
			body = someDocs(random, 9)
			if random.IntN(3) == 0 {
				body = "kind: List\nitems: []\n"
			}
			r.finish(polled{answer: answer{body: []byte(body)}}, now)
		}
		gone := left(before, r.ledger.wanted)
		for _, e := range gone {
			removed++
			if body == "" || !omits(body, e.ObjectKey) {
				t.Fatalf("step %d: %s left; answer:\n%s", step, called(e.ObjectKey), body)
			}
		}
		if n := len(before); len(gone) == n && n > 0 && len(since) == 0 {
			t.Fatalf("step %d: all %d objects left at the first answer that omits them", step, n)
		}
		if len(r.held) > 0 {
			held++
			since = append(since, now)
		} else {
			since = nil
		}
	}
	if removed < 50 || held < 20 {
		t.Errorf("the walk removed %d objects and held %d times: it tests little", removed, held)
	}
}

// folder is a directory under test and what is in it.
type folder struct {
	t       *testing.T
	random  *rand.Rand
	path    string
	content map[string]string // of files that can be read
}

func (f *folder) some() string {
	return filepath.Join(f.path, string(rune('p'+f.random.IntN(4)))+".yaml")
}

// change does something to the directory. gone are the files that someone
// removed or renamed by it.
func (f *folder) change() (gone []string) {
	path := f.some()
	switch f.random.IntN(10) {
	case 0: // removed
		_ = os.RemoveAll(path)
		delete(f.content, path)
		return []string{path}
	case 1: // renamed
		to := f.some()
		if content, ok := f.content[path]; ok && to != path {
			_ = os.RemoveAll(to)
			if err := os.Rename(path, to); err != nil {
				f.t.Fatal(err)
			}
			delete(f.content, path)
			f.content[to] = content
			return []string{path}
		}
	case 2: // no file any more
		_ = os.RemoveAll(path)
		if err := os.Mkdir(path, 0o755); err != nil {
			f.t.Fatal(err)
		}
		delete(f.content, path)
	case 3: // not to be trusted
		if _, ok := f.content[path]; ok {
			chmod(f.t, path, 0o666)
			delete(f.content, path)
		}
	case 4: // the whole directory is away
		if err := os.Rename(f.path, f.path+"-away"); err != nil {
			f.t.Fatal(err)
		}
	default:
		_ = os.RemoveAll(path)
		content := someDocs(f.random, 4)
		write(f.t, path, content)
		f.content[path] = content
	}
	return nil
}

func TestRandomWalkOfFiles(t *testing.T) {
	root, d := directory(t)
	d.config.Settle = time.Nanosecond
	f := &folder{t: t, random: rand.New(rand.NewPCG(3, 5)), path: root, content: map[string]string{}}
	s := newScanner(d.config, nil, ledger{})
	var l ledger
	removed := 0
	for step := range walkSteps {
		before := l.wanted
		gone := f.change()
		for range 2 { // the second time, what vanished is believed to be away
			out := s.scan(nil)
			if out.rejection == nil {
				l = l.next(out.readings, nil)
			}
		}
		_ = os.Rename(f.path+"-away", f.path)
		for _, e := range left(before, l.wanted) {
			removed++
			content, readable := f.content[e.file]
			if !slices.Contains(gone, e.file) && (!readable || !omits(content, e.ObjectKey)) {
				t.Fatalf("step %d: %s of %s left; removed files %v, content (%v):\n%s",
					step, called(e.ObjectKey), e.file, gone, readable, content)
			}
		}
		for path, content := range f.content {
			for _, o := range rejectDuplicates(parse([]byte(content), pod.Origin{})).All() {
				if !slices.ContainsFunc(l.wanted, func(e entry) bool { return e.file == path && e.ObjectKey == o.ObjectKey }) {
					t.Fatalf("step %d: %s of %s is not wanted", step, called(o.ObjectKey), path)
				}
			}
		}
	}
	if removed < 50 {
		t.Errorf("the walk removed %d objects: it tests little", removed)
	}
}
