package runtime

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestVulnerableVersionsAreNamed(t *testing.T) {
	const (
		june      = "CVE-2026-53488"
		earlier   = "CVE-2026-46680"
		september = "CVE-2026-53495"
		november  = "CVE-2025-31133"
		device    = "CVE-2026-41579"
	)
	for _, c := range []struct {
		program, version string
		want             []string // the first identifier of each warning, and the floor
	}{
		{"containerd", "2.3.7", nil},
		{"containerd", "2.3.7+unknown", nil},
		{"containerd", "v2.3.5", nil},
		{"containerd", "2.4.0", nil},
		{"containerd", "2.3.4", []string{september + " 2.3.5"}},
		{"containerd", "2.3.1", []string{june + " 2.3.2", september + " 2.3.5"}},
		{"containerd", "2.3.0", []string{earlier + " 2.3.1", june + " 2.3.2", september + " 2.3.5"}},
		{"containerd", "2.3.5-rc.1", []string{september + " 2.3.5"}},
		{"containerd", "2.2.5", []string{september + " 2.3.5"}},
		{"containerd", "2.0.9", []string{earlier + " 2.3.1", june + " 1.7.33 or 2.1.9 or 2.2.5 or 2.3.2", september + " 2.3.5"}},
		{"containerd", "1.6.20~ds1", []string{earlier + " 1.7.32", june + " 1.7.33", september + " 2.3.5"}},
		{"runc", "1.4.3", nil},
		{"runc", "1.5.0", nil},
		{"runc", "1.3.6", nil},
		{"runc", "1.3.3", []string{device + " 1.3.6"}},
		{"runc", "1.4.0-rc.2", []string{november + " 1.4.0-rc.3", device + " 1.4.3"}},
		{"runc", "1.4.0-rc.3", []string{device + " 1.4.3"}},
		{"runc", "1.1.5+ds1", []string{november + " 1.2.8", device + " 1.3.6 or 1.4.3"}},
		{"runc", "unknown", []string{"can't unknown"}},
		{"crun", "0.1", nil},
	} {
		t.Run(c.program+" "+c.version, func(t *testing.T) {
			got := VulnerableVersion(c.program, c.version)
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i, w := range c.want {
				for word := range strings.SplitSeq(w, " or ") {
					id, floor, _ := strings.Cut(word, " ")
					for _, part := range []string{id, floor, c.version, c.program} {
						if !strings.Contains(got[i], part) {
							t.Errorf("%q lacks %q", got[i], part)
						}
					}
				}
			}
		})
	}
}

func TestOCIRuntimeTellsItsVersion(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"runc":         {"echo 'runc version 1.1.5+ds1'; echo 'spec: 1.0.2-dev'", "runc 1.1.5+ds1 <nil>"},
		"crun":         {"echo 'crun version 1.8.1'", "crun 1.8.1 <nil>"},
		"says nothing": {"true", `want "NAME version NUMBER"`},
		"fails":        {"exit 3", "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Runtime{cfg: Config{RuncBinary: script(t, c.script)}}
			program, version, err := r.OCIRuntime(t.Context())
			text := program + " " + version + " <nil>"
			if err != nil {
				text = err.Error()
			}
			if !strings.Contains(text, c.want) {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
	t.Run("hangs", func(t *testing.T) {
		r := &Runtime{cfg: Config{RuncBinary: script(t, "sleep 60")}}
		begun := time.Now()
		_, _, err := r.OCIRuntime(t.Context())
		if err == nil || time.Since(begun) > 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// script writes a program.
func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}
