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

// The law of these tests: no pod leaves what is wanted without a successfully
// read document or answer that omits it, or a file that was removed.

const walkSteps = 1000

// someDocs makes a file of random documents: good, broken, repeated, garbage.
func someDocs(random *rand.Rand, most int) string {
	var parts []string
	for range random.IntN(most + 1) {
		name := string(rune('a' + random.IntN(8)))
		switch random.IntN(8) {
		case 0:
			parts = append(parts, doc(name, "BAD"))
		case 1:
			parts = append(parts, "{{{ garbage")
		default:
			parts = append(parts, doc(name, fmt.Sprint("v", random.IntN(3))))
		}
	}
	if len(parts) == 0 {
		return "kind: List\nitems: []\n"
	}
	return docs(parts...)
}

// omits tells whether a content, read on its own, leaves no doubt that it is
// not about a pod.
func omits(content string, k pod.Key) bool {
	parsed := parse([]byte(content), pod.Origin{})
	for _, p := range parsed.Pods {
		if p.Key == k {
			return false
		}
	}
	for _, f := range parsed.Failed {
		if f.Key == k || f.Key == (pod.Key{}) {
			return false
		}
	}
	return true
}

func left(before, after []entry) []entry {
	var gone []entry
	for _, e := range before {
		if !slices.ContainsFunc(after, func(x entry) bool { return x.Key == e.Key }) {
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
			if body == "" || !omits(body, e.Key) {
				t.Fatalf("step %d: pod %s left; answer:\n%s", step, e.Key, body)
			}
		}
		if n := len(before); len(gone) == n && n > 0 && len(since) == 0 {
			t.Fatalf("step %d: all %d pods left at the first answer that omits them", step, n)
		}
		if len(r.held) > 0 {
			held++
			since = append(since, now)
		} else {
			since = nil
		}
	}
	if removed < 50 || held < 20 {
		t.Errorf("the walk removed %d pods and held %d times: it tests little", removed, held)
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
			if !slices.Contains(gone, e.file) && (!readable || !omits(content, e.Key)) {
				t.Fatalf("step %d: pod %s of %s left; removed files %v, content (%v):\n%s",
					step, e.Key, e.file, gone, readable, content)
			}
		}
		for path, content := range f.content {
			for _, p := range rejectDuplicates(parse([]byte(content), pod.Origin{})).Pods {
				if !slices.ContainsFunc(l.wanted, func(e entry) bool { return e.file == path && e.Key == p.Key }) {
					t.Fatalf("step %d: pod %s of %s is not wanted", step, p.Key, path)
				}
			}
		}
	}
	if removed < 50 {
		t.Errorf("the walk removed %d pods: it tests little", removed)
	}
}
