package metrics

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is the file of a page.
func golden(path string) string {
	name := strings.TrimPrefix(strings.ReplaceAll(path, "/", "_"), "_")
	return filepath.Join("testdata", name+".txt")
}

// withoutProcess leaves out what tells of this very process.
func withoutProcess(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		bare := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if !strings.HasPrefix(bare, "go_") && !strings.HasPrefix(bare, "process_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestPages holds every page for a fixed snapshot. The files are also what the
// mixin's tests take for a scrape.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		measured(t, New(config(snapshot())), func(h http.Handler) {
			for _, p := range pages() {
				w := get(h, p.path)
				if w.Code != http.StatusOK {
					t.Errorf("%s: status %d", p.path, w.Code)
				}
				page := withoutProcess(w.Body.String())
				if p.process && len(page) == w.Body.Len() {
					t.Errorf("%s: nothing of Go and of the process", p.path)
				}
				if *update {
					if err := os.WriteFile(golden(p.path), []byte(page), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden(p.path))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(page, "\n")); diff != "" {
					t.Errorf("%s (-want +got; go test ./metrics -update writes it anew):\n%s", p.path, diff)
				}
			}
		})
	})
}
