package mixin

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compatible are the findings of promtool about names that are not ours to
// choose.
var compatible = []string{
	`container_fs_inodes_total non-counter metrics should not have "_total" suffix`,
	`container_memory_failcnt counter metrics should have "_total" suffix`,
}

// TestNames holds that promtool finds nothing wrong with any page but the
// names that were taken over as they are.
func TestNames(t *testing.T) {
	var found []string
	for page := range jobs {
		text, err := os.ReadFile(filepath.Join(scrapes, page))
		if err != nil {
			t.Fatal(err)
		}
		// Findings end promtool with an error; they are compared below.
		out, err := promtool(t, string(text), "check", "metrics")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if err != nil && out == "" {
			t.Fatal(err)
		}
		for _, line := range lines {
			if line != "" {
				found = append(found, line)
			}
		}
	}
	slices.Sort(found)
	if diff := cmp.Diff(compatible, found); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
