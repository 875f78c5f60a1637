package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAnotherCheckoutGivesTheSameBytes builds the packages of this architecture
// once more: in another folder, with nothing built before, on a host of another
// name and time zone, by somebody who keeps files to himself.
func TestAnotherCheckoutGivesTheSameBytes(t *testing.T) {
	deb := built(t, "deb")
	version := regexp.MustCompile(`(?m)^Version: (.*)$`).FindStringSubmatch(command(t, "dpkg-deb", "--field", deb, "Version", "Architecture"))[1]
	arch := strings.TrimSpace(command(t, "dpkg-deb", "--field", deb, "Architecture"))
	elsewhere := filepath.Join(t.TempDir(), "a", "checkout", "with a longer path")
	copyCheckout(t, elsewhere)
	cmd := exec.CommandContext(t.Context(), "unshare", "--uts", "bash", "-c", "hostname elsewhere && umask 077 && exec make packages")
	cmd.Dir = elsewhere
	cmd.Env = append(os.Environ(), "VERSION="+version, "ARCHES="+arch, "SOURCE_DATE_EPOCH="+builtAt(t, deb),
		"GOCACHE="+t.TempDir(), "GOFLAGS=-mod=mod", "TZ=Asia/Tokyo", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make packages: %v: %s", err, out)
	}
	sums := func(dir string) map[string]string {
		found := map[string]string{}
		for line := range strings.Lines(read(t, filepath.Join(dir, "bin/packages/SHA256SUMS"))) {
			sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
			found[name] = sum
		}
		return found
	}
	here, there := sums(root), sums(elsewhere)
	if len(there) != 3 {
		t.Errorf("the other build made %d files, want a deb, an rpm and a bill: %v", len(there), there)
	}
	for name, sum := range there {
		if here[name] != sum {
			t.Errorf("%s has %s here and %s there", name, here[name], sum)
		}
	}
}

// copyCheckout copies what git knows of, and what it would add.
func copyCheckout(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, "bash", "-euo", "pipefail", "-c",
		`cd "$0"; git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -x -C "$1"`, root, dir)
}

// builtAt is the time that all files of a package bear.
func builtAt(t *testing.T, deb string) string {
	t.Helper()
	dir := t.TempDir()
	command(t, "dpkg-deb", "--extract", deb, dir)
	return strings.TrimSpace(command(t, "stat", "--format", "%Y", filepath.Join(dir, "usr/bin/podstead")))
}
