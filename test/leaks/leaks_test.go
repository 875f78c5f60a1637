package leaks_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/test/leaks"
)

func TestDiff(t *testing.T) {
	before := leaks.Snapshot{"mount": {"proc /proc", "tmpfs /old"}, "process": {"shim"}}
	after := leaks.Snapshot{"mount": {"proc /proc"}, "process": {"shim", "shim"}, "link": {"veth a"}}
	want := []string{"+ link: veth a", "- mount: tmpfs /old", "+ process: shim"}
	if diff := cmp.Diff(want, leaks.Diff(before, after)); diff != "" {
		t.Error(diff)
	}
	if got := leaks.Diff(after, after); got != nil {
		t.Errorf("equal snapshots differ: %q", got)
	}
}

func TestFilesAndProcessesAreSeen(t *testing.T) {
	dir := t.TempDir()
	config := leaks.Config{Files: []string{dir}, Ours: dir}
	take := func() leaks.Snapshot {
		t.Helper()
		s, err := leaks.Take(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		// Other tests of this machine mount and run things meanwhile.
		return leaks.Snapshot{"file": s["file"], "process": onlySleep(s["process"])}
	}
	before := take()
	path := filepath.Join(dir, "leaked")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1h")
	cmd.Args[0] = filepath.Join(dir, "leaked-sleep")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	want := []string{"+ file: " + path, "+ process: sleep"}
	if diff := cmp.Diff(want, leaks.Diff(before, take())); diff != "" {
		t.Error(diff)
	}
}

func onlySleep(names []string) []string {
	var found []string
	for _, n := range names {
		if n == "sleep" {
			found = append(found, n)
		}
	}
	return found
}

func TestMentions(t *testing.T) {
	for command, want := range map[string]bool{
		"containerd --config /tmp/h1/containerd.toml":                      true,
		"podstead run --run-dir=/tmp/h1":                                   true,
		"podstead run --run-dir=/tmp/h1 --verbose":                         true,
		"containerd --config /tmp/h12/containerd.toml":                     false,
		"containerd --config /tmp/h12/containerd.toml --state /tmp/h1/run": true,
		"containerd --config /tmp/h1.old/containerd.toml":                  false,
		"containerd": false,
	} {
		if got := (leaks.Process{Command: strings.Fields(command)}).Mentions("/tmp/h1"); got != want {
			t.Errorf("%q mentions /tmp/h1: %v, want %v", command, got, want)
		}
	}
}
