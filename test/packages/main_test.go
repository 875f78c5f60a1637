// Package packages installs the packages that make packages built, with dpkg, in
// a copy of this server's files and in namespaces of their own: nothing of it is
// seen from outside. How they fare under a systemd that runs is for the guests.
package packages

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/podstead/podstead/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

const root = "../.."

// built returns the package of this machine's architecture with an ending.
func built(t *testing.T, ending string) string {
	t.Helper()
	arch := map[string]string{"deb": runtime.GOARCH, "cdx.json": runtime.GOARCH, "rpm": map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]}[ending]
	found, err := filepath.Glob(filepath.Join(root, "bin/packages/*"+arch+"."+ending))
	if err != nil || len(found) != 1 {
		t.Fatalf("bin/packages has %d files for %s that end in %s (%v), want 1: make packages", len(found), arch, ending, err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// unpacked returns a folder with the files of the package and, in DEBIAN, what
// dpkg runs and reads.
func unpacked(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deb")
	command(t, "dpkg-deb", "--raw-extract", built(t, "deb"), dir)
	return dir
}

// another is the package as another version, changed by change.
func another(t *testing.T, version string, change func(dir string)) string {
	t.Helper()
	dir := unpacked(t)
	control := filepath.Join(dir, "DEBIAN/control")
	lines := strings.Split(read(t, control), "\n")
	for i := range lines {
		if strings.HasPrefix(lines[i], "Version: ") {
			lines[i] = "Version: " + version
		}
	}
	write(t, control, strings.Join(lines, "\n"))
	if change != nil {
		change(dir)
	}
	deb := filepath.Join(t.TempDir(), "podstead_"+version+".deb")
	command(t, "dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", dir, deb)
	return deb
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v: %s%s", name, args, err, &stdout, &stderr)
	}
	return stdout.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
