package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/contrib/apparmor"
	"github.com/google/go-cmp/cmp"
)

// The profile is containerd's, whatever this host has to include.
func TestAppArmorProfileIsContainerds(t *testing.T) {
	t.Setenv("PATH", "") // where rootlesskit would be looked for
	want, err := apparmor.DumpDefaultProfile("containers")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rules(want), rules(appArmorProfile("containers", "unconfined\n", appArmorDir))); diff != "" {
		t.Errorf("the profile is not containerd's (-containerd +ours):\n%s", diff)
	}
}

func TestAppArmorProfileIncludesWhatTheHostHas(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"abi/3.0", "tunables/global", "abstractions/base"} {
		writeFile(t, dir, name)
	}
	got := appArmorProfile("containers", "podstead (enforce)\n", dir)
	for _, want := range []string{"abi <abi/3.0>,", "#include <tunables/global>", "#include <abstractions/base>", "signal (receive) peer=podstead,"} {
		if !strings.Contains(got, want) {
			t.Errorf("the profile lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "@{PROC}=") {
		t.Errorf("what is included is set once more:\n%s", got)
	}
}

func TestProfileNames(t *testing.T) {
	got := profileNames("podstead-default (enforce)\n/usr/bin/man (complain)\n")
	if diff := cmp.Diff([]string{"podstead-default", "/usr/bin/man"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// rules are the lines that say something.
func rules(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "# ") {
			lines = append(lines, line)
		}
	}
	return lines
}

func writeFile(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}
