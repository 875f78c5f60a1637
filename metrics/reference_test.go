package metrics

import (
	"os"
	"strings"
	"testing"
)

func TestReferenceIsInStep(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), "\n"+Reference()) {
		t.Error("docs/metrics.md differs from the metrics' descriptions: go generate ./metrics")
	}
}

// Every metric says what it means, in a sentence that a table can hold.
func TestEveryMetricIsDescribed(t *testing.T) {
	for _, p := range pages() {
		seen := map[string]bool{}
		for _, f := range p.families {
			if !strings.HasSuffix(f.help, ".") || strings.ContainsAny(f.help, "\n|") {
				t.Errorf("%s: %q", f.name, f.help)
			}
			if seen[f.name] {
				t.Errorf("%s: %s is there twice", p.path, f.name)
			}
			seen[f.name] = true
			if (f.each == nil) == (f.histograms == nil) || (f.kind == histogram) != (f.histograms != nil) {
				t.Errorf("%s yields not what its type says", f.name)
			}
		}
	}
}
