package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// option is a line of the shipped configuration that waits to be taken in: its
// mark has no blank after it, or the blanks of a field in another one.
var option = regexp.MustCompile(`(?m)^#([^ \n].*| {2,}\w+:.*)$`)

// TestShippedFilesAreUsable: the configuration of the packages, also with all
// that it suggests taken in, and the manifests of their examples.
func TestShippedFilesAreUsable(t *testing.T) {
	program := filepath.Join(t.TempDir(), "podstead")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/podstead/podstead/cmd/podstead")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build podstead: %v: %s", err, out)
	}
	check := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), program, append([]string{"check"}, args...)...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("check %v: %v: %s", args, err, out)
		}
	}
	shipped := filepath.Join(root, "packaging/config.yaml")
	check("--config", shipped)
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	all := option.ReplaceAll(text, []byte("$1"))
	if options := len(option.FindAll(text, -1)); options < 15 {
		t.Errorf("%d lines of options were found in %s, want all", options, shipped)
	}
	file := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(file, all, 0o600); err != nil {
		t.Fatal(err)
	}
	check("--config", file)
	check(filepath.Join(root, "packaging/examples"))
}
