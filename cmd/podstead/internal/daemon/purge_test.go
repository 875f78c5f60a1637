package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
)

// place writes files below a new folder and returns it.
func place(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, f)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, nil, 0o600))
	}
	return dir
}

func TestPurgeRemovesWhatPodsteadMadeAndNothingElse(t *testing.T) {
	dir := place(t, "state/history", "state/history.corrupt-20260101T000000Z", "state/.history123", "state/volumes/pod/file",
		"state/containerd/db", "state/sources/a.json", "run/pods/x", "run/podstead.sock", "run/containerd/c.sock", "run/verdicts",
		"other/containerd.toml", "logs/default_web_1/app/0.log")
	in := func(name string) string { return filepath.Join(dir, name) }
	cfg := &config.Configuration{
		StateDir: in("state"), RunDir: in("run"), Socket: in("run/podstead.sock"), LogDir: in("logs"), ContainerLogsDir: in("none"),
		Runtime: config.Runtime{Mode: config.ModeOwn, Root: in("state/containerd"), State: in("run/containerd")},
	}
	// A disk for images, and what somebody else keeps.
	must(t, unix.Mount("disk", in("state/containerd"), "tmpfs", 0, ""))
	t.Cleanup(func() { _ = unix.Unmount(in("state/containerd"), 0) })
	must(t, os.MkdirAll(in("state/containerd/lost+found"), 0o700))
	must(t, os.WriteFile(in("state/containerd/meta.db"), nil, 0o600))
	must(t, os.WriteFile(in("state/historybook"), nil, 0o600))
	var told []string
	must(t, removeFiles(t.Context(), cfg, func(line string) { told = append(told, line) }))

	var left []string
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if name, _ := filepath.Rel(dir, path); err == nil && name != "." {
			left = append(left, name)
		}
		return err
	}))
	if want := []string{
		"logs", "logs/default_web_1", "logs/default_web_1/app", "logs/default_web_1/app/0.log", "other", "other/containerd.toml",
		"state", "state/containerd", "state/containerd/lost+found", "state/historybook",
	}; !slices.Equal(left, want) {
		t.Errorf("left %q\nwant %q", left, want)
	}
	if want := []string{"left in " + in("state") + ", made or mounted by others: containerd, historybook"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestUnitOfAProcess(t *testing.T) {
	for cgroups, want := range map[string]string{
		"0::/system.slice/podstead-containerd.service\n":                                                "podstead-containerd.service",
		"12:pids:/\n1:name=systemd:/system.slice/podstead.service\n0::/system.slice/podstead.service\n": "podstead.service",
		"0::/user.slice/user-0.slice/session-1.scope\n":                                                 "",
		"0::/\n": "",
	} {
		if got := unitIn(cgroups); got != want {
			t.Errorf("%q: got %q, want %q", cgroups, got, want)
		}
	}
}
