package manifest

import (
	"os"
	"testing"
	"time"

	"github.com/podstead/podstead/pod"
)

// FuzzParse: no input ends the program or holds it up, every answer is whole,
// and the same bytes get the same answer.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"testdata/bad", "testdata/good"} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(folder + "/" + e.Name())
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		r := Parse(data, Options{Origin: pod.Origin{File: "fuzz.yaml"}})
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		checkWhole(t, data, r)
		if again := Parse(data, Options{Origin: pod.Origin{File: "fuzz.yaml"}}); report(again) != report(r) {
			t.Errorf("two answers:\n%s\n%s", report(r), report(again))
		}
	})
}

func checkWhole(t *testing.T, data []byte, r Result) {
	t.Helper()
	errors := 0
	for _, p := range r.Problems {
		if p.Severity == pod.Error {
			errors++
		}
		if p.Reason == "" || p.Message == "" || p.Origin.Line < 1 || p.Origin.Column < 1 {
			t.Errorf("a problem lacks something: %#v", p)
		}
		for _, c := range p.String() {
			if isControl(c) || c == '\n' {
				t.Errorf("a problem is not one clean line: %q", p.String())
			}
		}
	}
	if (errors == 0) != (len(r.Failed) == 0) {
		t.Errorf("%d errors, %d failed objects", errors, len(r.Failed))
	}
	if len(r.Pods)+len(r.Objects) == 0 && len(r.Failed) == 0 && len(data) == 0 {
		t.Error("nothing was found in nothing, and nobody says so")
	}
	for _, d := range r.Pods {
		if d.Key.Name == "" || d.Key.Namespace == "" || d.Pod.Name != d.Key.Name || d.Pod.Namespace != d.Key.Namespace {
			t.Errorf("the key %s is not that of the pod %s/%s", d.Key, d.Pod.Namespace, d.Pod.Name)
		}
	}
	for _, o := range r.Objects {
		content := o.Content()
		if content == nil || o.Pod != nil {
			t.Fatalf("an object has no content: %#v", o)
		}
		if o.Name == "" || o.Namespace == "" || content.GetName() != o.Name || content.GetNamespace() != o.Namespace {
			t.Errorf("the key %s is not that of the object %s/%s", o.ObjectKey, content.GetNamespace(), content.GetName())
		}
	}
}
