package runtime

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/version"
)

// floor is a set of vulnerabilities and the first version of each line of
// releases (major and minor number) that has none of them. A line that is not
// listed has no such release, unless it is newer than all listed ones.
type floor struct {
	program string
	fixed   []string
	ids     string
}

// floors come from the advisories of containerd and runc.
func floors() []floor {
	return []floor{
		{"containerd", []string{"1.7.32", "2.1.8", "2.2.4", "2.3.1"}, "CVE-2026-46680"},
		{"containerd", []string{"1.7.33", "2.1.9", "2.2.5", "2.3.2"}, "CVE-2026-53488, CVE-2026-47262, CVE-2026-50195, CVE-2026-53492, CVE-2026-53489"},
		{"containerd", []string{"2.3.5"}, "CVE-2026-53495, GHSA-rp3h-jf77-q9p4"},
		{"runc", []string{"1.2.8", "1.3.3", "1.4.0-rc.3"}, "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881"},
		{"runc", []string{"1.3.6", "1.4.3"}, "CVE-2026-41579"},
	}
}

// VulnerableVersion compares the version of a program ("containerd" or
// "runc") with those that mended its known vulnerabilities. It returns a
// sentence for each set that the version does not mend; they are warnings,
// since distributions mend old versions without changing their number.
// Versions of other programs are not judged. One that can't be read is said
// to be unknown.
func VulnerableVersion(program, found string) []string {
	var warnings []string
	for _, f := range floors() {
		if f.program != program {
			continue
		}
		v, err := parseVersion(found)
		if err != nil {
			return []string{fmt.Sprintf("%s has a version that can't be read, so whether it has known vulnerabilities is not known (got %q, want one like %s)", program, found, f.fixed[len(f.fixed)-1])}
		}
		if want := f.missing(v); want != "" {
			warnings = append(warnings, fmt.Sprintf("%s %s is older than %s, which mends %s: upgrade it, unless your distribution has mended this version", program, found, want, f.ids))
		}
	}
	return warnings
}

// missing names the version or versions that would do, "" if v does.
func (f floor) missing(v *version.Version) string {
	for _, text := range f.fixed {
		fixed := version.MustParseSemantic(text)
		if fixed.Major() == v.Major() && fixed.Minor() == v.Minor() {
			if v.LessThan(fixed) {
				return text
			}
			return ""
		}
	}
	if v.LessThan(version.MustParseSemantic(f.fixed[len(f.fixed)-1])) {
		return strings.Join(f.fixed, " or ")
	}
	return ""
}

// parseVersion reads what programs say of themselves, such as v2.3.7,
// 1.6.20~ds1 or 1.1.5+ds1.
func parseVersion(text string) (*version.Version, error) {
	if i := strings.IndexAny(text, "+~ "); i >= 0 {
		text = text[:i]
	}
	return version.ParseSemantic(text)
}

// versionTime bounds asking a program for its version.
const versionTime = 5 * time.Second

// OCIRuntime asks the OCI runtime for its name and version, such as runc and
// 1.3.6. It takes five seconds at most.
func (r *Runtime) OCIRuntime(ctx context.Context) (program, found string, err error) {
	binary := r.cfg.RuncBinary
	if binary == "" {
		binary = "runc"
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	c := exec.CommandContext(ctx, binary, "--version")
	c.WaitDelay = time.Second // for what holds its output open
	out, err := c.Output()
	if err != nil {
		return "", "", fmt.Errorf("ask %q for its version: %w", binary, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	fields := strings.Fields(line)
	if len(fields) < 3 || fields[1] != "version" {
		return "", "", fmt.Errorf("ask %q for its version: got %.80q, want \"NAME version NUMBER\"", binary, line)
	}
	return fields[0], fields[2], nil
}
