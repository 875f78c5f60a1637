// Package docs checks what the documentation tells people to write.
package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// pages returns README.md and the pages of docs by their path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/transcripts/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no page matches %s (%v)", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			pages[name] = string(text)
		}
	}
	return pages
}

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// yamlOf returns the blocks of YAML in a page that are about a kind.
func yamlOf(page, kind string) []string {
	var blocks []string
	for _, found := range fence.FindAllStringSubmatch(page, -1) {
		if found[1] == "yaml" && strings.Contains(found[2], "kind: "+kind) {
			blocks = append(blocks, found[2])
		}
	}
	return blocks
}

// TestBlocksAreUsable holds every manifest and every configuration against
// the program that people would give it to.
func TestBlocksAreUsable(t *testing.T) {
	program := filepath.Join(t.TempDir(), "podstead")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/podstead/podstead/cmd/podstead")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build podstead: %v: %s", err, out)
	}
	for kind, flags := range map[string][]string{"Pod": {"check"}, "Configuration": {"check", "--config"}} {
		checked := 0
		for name, page := range pages(t) {
			for _, block := range yamlOf(page, kind) {
				checked++
				file := filepath.Join(t.TempDir(), "block.yaml")
				if err := os.WriteFile(file, []byte(block), 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.CommandContext(t.Context(), program, append(flags, file)...).CombinedOutput(); err != nil {
					t.Errorf("a %s in %s can't be used (%v):\n%s\n%s", kind, name, err, out, block)
				}
			}
		}
		if checked == 0 {
			t.Errorf("no %s was found in the documentation", kind)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notSlug = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// slugs are the anchors of a page's headings, as forges make them.
func slugs(page string) map[string]bool {
	found := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		text := notSlug.ReplaceAllString(strings.ToLower(h[1]), "")
		found[strings.ReplaceAll(text, " ", "-")] = true
	}
	return found
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	checked := 0
	for name, page := range all {
		for _, found := range link.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			checked++
			path := name
			if target != "" {
				path = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("%s: the link %s leads nowhere: %v", name, found[1], err)
			} else if anchor != "" && !slugs(all[path])[anchor] {
				t.Errorf("%s: %s has no heading #%s", name, path, anchor)
			}
		}
	}
	if checked == 0 {
		t.Error("no link was found in the documentation")
	}
}
