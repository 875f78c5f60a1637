package manifest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/pod"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// report is what the golden files hold of a result.
func report(r Result) string {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintln(&b, p)
	}
	for _, d := range r.Pods {
		fmt.Fprintf(&b, "pod %s at %s, item %d, %d warnings\n", d.Key, d.Origin, d.Origin.Item, len(d.Warnings))
	}
	for _, o := range r.Objects {
		fmt.Fprintf(&b, "%s at %s, item %d, %d warnings\n", o.ObjectKey, o.Origin, o.Origin.Item, len(o.Warnings))
	}
	for _, f := range r.Failed {
		key := f.Key.String()
		switch {
		case f.Key == (pod.ObjectKey{}):
			key = "unknown"
		case f.Key.Kind == "":
			key = "anything called " + key
		}
		fmt.Fprintf(&b, "failed item %d: %s\n", f.Item, key)
	}
	return b.String()
}

func parseFile(t *testing.T, path string) Result {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(data, Options{Origin: pod.Origin{Source: "test", File: filepath.Base(path)}})
}

// TestBadInputs holds the text of every problem. The numbers of the files are
// those of the table of bad inputs.
func TestBadInputs(t *testing.T) {
	for _, path := range manifests(t, "testdata/bad") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			start := time.Now()
			result := parseFile(t, path)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if len(result.Failed) == 0 {
				t.Error("nothing failed")
			}
			checkGolden(t, path+".golden", report(result))
		})
	}
}

// TestGoodInputs holds the objects that manifests as people write them become.
func TestGoodInputs(t *testing.T) {
	for _, path := range manifests(t, "testdata/good") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			result := parseFile(t, path)
			var b strings.Builder
			b.WriteString(report(result))
			for _, d := range result.Pods {
				data, err := yaml.Marshal(d.Pod)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "---\n%s", data)
			}
			for _, o := range result.Objects {
				data, err := yaml.Marshal(o.Content())
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "---\n%s", data)
			}
			if len(result.Failed) > 0 {
				t.Error("something failed")
			}
			checkGolden(t, path+".golden", b.String())
		})
	}
}

func manifests(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".yaml" || ext == ".json" {
			paths = append(paths, filepath.Join(folder, e.Name()))
		}
	}
	if len(paths) == 0 {
		t.Fatalf("no manifests in %s", folder)
	}
	return paths
}

func checkGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run the test with -update and read what it writes", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
