package metrics

import (
	"strconv"
	"strings"
)

// mended says from which patch of each release line of containerd on a
// weakness is gone. Lines that are older than all have it, newer ones do not.
type mended struct {
	cves  []string
	lines []release
}

type release struct{ major, minor, patch int }

var containerdMended = []mended{
	{[]string{"CVE-2026-53488", "CVE-2026-47262", "CVE-2026-50195", "CVE-2026-53492", "CVE-2026-53489"},
		[]release{{1, 7, 33}, {2, 1, 9}, {2, 2, 5}, {2, 3, 2}}},
	{[]string{"CVE-2026-53495"}, []release{{2, 3, 5}}},
}

// vulnerabilities lists the known weaknesses of a release of containerd; none
// of one whose number can't be read.
func vulnerabilities(version string) []string {
	have, ok := parseRelease(version)
	if !ok {
		return nil
	}
	var found []string
	for _, m := range containerdMended {
		if m.has(have) {
			found = append(found, m.cves...)
		}
	}
	return found
}

func (m mended) has(have release) bool {
	newest := m.lines[len(m.lines)-1]
	if have.major > newest.major || have.major == newest.major && have.minor > newest.minor {
		return false
	}
	for _, line := range m.lines {
		if have.major == line.major && have.minor == line.minor {
			return have.patch < line.patch
		}
	}
	return true
}

// parseRelease reads texts such as v2.3.7 and 1.6.20~ds1.
func parseRelease(text string) (release, bool) {
	parts := strings.SplitN(strings.TrimPrefix(text, "v"), ".", 3)
	if len(parts) < 3 {
		return release{}, false
	}
	digits := strings.IndexFunc(parts[2], func(r rune) bool { return r < '0' || r > '9' })
	if digits >= 0 {
		parts[2] = parts[2][:digits]
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil {
			return release{}, false
		}
		n[i] = v
	}
	return release{n[0], n[1], n[2]}, true
}
