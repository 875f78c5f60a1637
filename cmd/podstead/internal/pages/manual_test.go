package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestManual(t *testing.T) {
	page := "# Title\n\nSee [the page](other.md#x) and [the site](https://example.com/).\n\n## Some fields\n\n" +
		"| Field | Default | Meaning |\n|---|---|---|\n| `a.b` | `1` | Says `x`: a | b. |\n| `c` | none | Ends. |\n\n### More\n\nText.\n"
	want := "\nSee the page and [the site](https://example.com/).\n\n# SOME FIELDS\n\n" +
		"**a.b** (default: 1)\n: Says `x`: a | b.\n\n**c** (default: none)\n: Ends.\n\n\n## More\n\nText.\n"
	if diff := cmp.Diff(want, manual(page)); diff != "" {
		t.Errorf("manual (-want +got):\n%s", diff)
	}
}

// TestEveryFieldIsInThePage: the page of the configuration has the fields of the
// documentation.
func TestEveryFieldIsInThePage(t *testing.T) {
	b := book{dir: t.TempDir(), source: "podstead 1", date: time.Unix(0, 0)}
	if err := os.Mkdir(filepath.Join(b.dir, "man"), 0o755); err != nil {
		t.Fatal(err)
	}
	const documentation = "../../../../docs/configuration.md"
	if err := b.configuration(documentation); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(b.dir, "man", "podstead-config.5"))
	if err != nil {
		t.Fatal(err)
	}
	fields := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1)
	for _, f := range fields {
		if !strings.Contains(string(page), `\fB`+f[1]+`\fP (`) {
			t.Errorf("no entry for %s", f[1])
		}
	}
	if len(fields) < 40 {
		t.Errorf("%d fields were found in the documentation, want all", len(fields))
	}
}
