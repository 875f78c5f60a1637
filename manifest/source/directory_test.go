package source

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/podstead/podstead/pod"
)

// directory makes a directory source whose rescan is far off, so that only
// events and its own timers can be what makes it look.
func directory(t *testing.T, change ...func(*DirectoryConfig)) (string, *Directory) {
	t.Helper()
	config := DirectoryConfig{
		Name: "local", Path: filepath.Join(t.TempDir(), "manifests"), Rescan: time.Hour, Parse: parse,
	}
	if err := os.Mkdir(config.Path, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&config)
	}
	return config.Path, NewDirectory(config)
}

func TestRenamedFileIsActedOnAtOnce(t *testing.T) {
	dir, d := directory(t)
	r, _ := start(t, d.Run)
	r.untilPods(t, map[string]string{})
	var took []time.Duration
	for i := range 20 {
		time.Sleep(60 * time.Millisecond) // a person's pace, not a burst
		image := fmt.Sprint("v", i)
		put(t, filepath.Join(dir, "web.yaml"), doc("web", image))
		begin := time.Now()
		_, at := r.untilPods(t, map[string]string{"web": image})
		took = append(took, at.Sub(begin))
	}
	slices.Sort(took)
	t.Logf("rename to snapshot: median %v, at most %v", took[10], took[19])
	if took[10] > 90*time.Millisecond { // not the worst, of which a busy machine has many
		t.Errorf("rename to snapshot took %v, want less than 90ms", took[10])
	}
}

func TestWriterInPlaceNeverYieldsPrefix(t *testing.T) {
	dir, d := directory(t)
	r, _ := start(t, d.Run)
	path := filepath.Join(dir, "web.yaml")
	put(t, path, doc("web", "old"))
	r.untilPods(t, map[string]string{"web": "old"})
	// Every prefix of the image is a good image.
	whole := doc("web", "abcdefghijklmnopqrstuvwxyz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var last time.Time
	for i := range len(whole) {
		if i > len(whole)-40 || i == 0 {
			time.Sleep(20 * time.Millisecond)
		}
		if _, err := f.WriteString(whole[i : i+1]); err != nil {
			t.Fatal(err)
		}
		last = time.Now()
	}
	_, at := r.untilPods(t, map[string]string{"web": "abcdefghijklmnopqrstuvwxyz"})
	t.Logf("last write to snapshot: %v", at.Sub(last))
	if d := at.Sub(last); d < 80*time.Millisecond || d > 2*time.Second {
		t.Errorf("last write to snapshot took %v, want about 100ms", d)
	}
	for _, s := range r.all() {
		if got := images(s)["web"]; got != "" && got != "old" && got != "abcdefghijklmnopqrstuvwxyz" {
			t.Errorf("a prefix was used: image %q", got)
		}
		if len(s.Problems) > 0 {
			t.Errorf("a prefix was parsed: %v", s.Problems)
		}
	}
}

func TestRemovedFileRemovesItsPods(t *testing.T) {
	dir, d := directory(t)
	write(t, filepath.Join(dir, "a.yaml"), doc("a", "1"))
	write(t, filepath.Join(dir, "b.json"), `{"kind":"Pod","metadata":{"name":"b"},"spec":{"containers":[{"image":"1"}]}}`)
	r, _ := start(t, d.Run)
	r.untilPods(t, map[string]string{"a": "1", "b": "1"})
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	r.untilPods(t, map[string]string{"b": "1"})
}

func TestBrokenDocumentKeepsItsPodOnly(t *testing.T) {
	dir, d := directory(t)
	path := filepath.Join(dir, "web.yaml")
	put(t, path, docs(doc("a", "1"), doc("b", "1"), doc("c", "1")))
	r, _ := start(t, d.Run)
	r.untilPods(t, map[string]string{"a": "1", "b": "1", "c": "1"})

	put(t, path, docs(doc("a", "2"), doc("b", "BAD"), doc("n", "BAD")))
	s, _ := r.untilPods(t, map[string]string{"a": "2", "b": "1"})
	if !hasProblem(s, pod.ReasonInvalidImage, "pod default/b keeps running as before") ||
		!hasProblem(s, pod.ReasonInvalidImage, "nothing runs for it") {
		t.Errorf("problems don't say what happens: %v", s.Problems)
	}
	// Which pod is meant can't be told: none of the file's may go.
	put(t, path, docs(doc("a", "3"), "{{{"))
	s, _ = r.untilPods(t, map[string]string{"a": "3", "b": "1"})
	if !hasProblem(s, pod.ReasonSyntax, "pod default/b keeps running as before") {
		t.Errorf("problems don't say what happens: %v", s.Problems)
	}
	put(t, path, "")
	r.untilPods(t, map[string]string{"a": "3", "b": "1"})
	put(t, path, docs(doc("b", "4")))
	s, _ = r.untilPods(t, map[string]string{"b": "4"})
	if len(s.Problems) > 0 {
		t.Errorf("problems stay after they were mended: %v", s.Problems)
	}
}
