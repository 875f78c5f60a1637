package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

var logRows = []row{
	{"Row61_LogRotation", logRotation},
	{"Row62_LogPathAndLink", logPaths},
}

func logRotation(t *testing.T, h *harness.Host) {
	const lines = 6000
	p := runs(h, "rotate", simple("rotate", script(
		fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo line $i of many that together are a lot; i=$((i+1)); done", lines)), "", ""))
	dir := logFolder(h, p)
	h.Eventually(time.Minute, func() error {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			return err
		}
		if len(files) > 3 {
			t.Errorf("there are %d log files, want at most 3: %v", len(files), files)
		}
		out, err := h.CLI("logs", "rotate", "--tail", "1")
		if err == nil && !strings.HasPrefix(out, fmt.Sprintf("line %d ", lines-1)) {
			err = fmt.Errorf("the last line is %q", out)
		}
		return err
	})
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("log files %v, %v, want 3", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > 40<<10 {
			t.Errorf("%s has %d bytes, %v, want at most 40Ki", f, info.Size(), err)
		}
	}
	// What is kept is the end of the output, without a gap.
	out, err := h.CLI("logs", "rotate")
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for i, line := range kept {
		if want := fmt.Sprintf("line %d of", lines-len(kept)+i); !strings.HasPrefix(line, want) {
			t.Fatalf("of %d lines that are kept, number %d is %q, want %q", len(kept), i, line, want)
		}
	}
	if len(kept) < 600 {
		t.Errorf("%d lines are kept, want about what 3 files of 40Ki hold", len(kept))
	}
}

// logFolder is where the log of container "app" has to be.
func logFolder(h *harness.Host, p corev1.Pod) string {
	return filepath.Join(h.Logs, fmt.Sprintf("%s_%s_%s", p.Namespace, p.Name, p.UID), "app")
}

func logPaths(t *testing.T, h *harness.Host) {
	p := runs(h, "paths", simple("paths", script("echo to stdout", "echo to stderr >&2"), "", ""))
	says(t, h, "paths", "to stdout", "to stderr")
	id := strings.TrimPrefix(containerID(p), "containerd://")
	for _, path := range []string{
		filepath.Join(logFolder(h, p), "0.log"),
		filepath.Join(h.Links, fmt.Sprintf("paths_default_app-%s.log", id)),
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range []string{`stdout F to stdout`, `stderr F to stderr`} {
			if !regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) ` + want + `$`).Match(text) {
				t.Errorf("%s has no line %q in the CRI format:\n%s", path, want, text)
			}
		}
	}
}
