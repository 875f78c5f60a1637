package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podstead/podstead/runtime"
)

func TestStatusWarnsOfVulnerableVersions(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "runc")
	must(t, os.WriteFile(old, []byte("#!/bin/sh\necho runc version 1.1.5+ds1\n"), 0o755))
	for name, c := range map[string]struct {
		runc string
		want []string
	}{
		"both old":   {old, []string{"containerd 2.3.4 is older than 2.3.5", "runc 1.1.5+ds1 is older than 1.2.8", "runc 1.1.5+ds1 is older than 1.3.6"}},
		"no runtime": {filepath.Join(dir, "missing"), []string{"containerd 2.3.4", "version of the OCI runtime is not known"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := runtime.New(runtime.Config{Address: filepath.Join(dir, "containerd.sock"), RuncBinary: c.runc})
			must(t, err)
			d := &daemon{runtime: r}
			text := strings.Join(d.vulnerable(t.Context(), "2.3.4"), "\n")
			for _, w := range c.want {
				if !strings.Contains(text, w) {
					t.Errorf("got %q, want %q in it", text, w)
				}
			}
		})
	}
}
