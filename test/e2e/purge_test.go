package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/leaks"
)

// offline runs a command that works while no podstead does.
func offline(t *testing.T, h *harness.Host, args ...string) (out string, err error) {
	t.Helper()
	args = append(args, "--config", filepath.Join(h.Dir, "config.yaml"))
	text, err := exec.CommandContext(t.Context(), filepath.Join(h.Bin, "podstead"), args...).CombinedOutput()
	return string(text), err
}

// mindful is a pod that takes a while to end and writes down that it did so of
// its own accord.
func mindful(h *harness.Host, t *testing.T, name string) (yaml, note string) {
	dir := folder(t, h, name)
	yaml = simple(name, script("trap 'sleep 1; echo done > /d/note; exit 0' TERM", "echo hello"),
		fmt.Sprintf("volumes:\n- {name: d, hostPath: {path: %s}}\n- {name: scratch, emptyDir: {}}\n- {name: memory, emptyDir: {medium: Memory}}\n", dir),
		"volumeMounts: [{name: d, mountPath: /d}, {name: scratch, mountPath: /s}, {name: memory, mountPath: /m}]\nports: [{containerPort: 80, hostPort: 18990}]\n")
	return strings.Replace(yaml, "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 60\n", 1), filepath.Join(dir, "note")
}

func TestDrainStopsPodsWithTheirGraceWhilePodsteadDoesNotRun(t *testing.T) {
	h := newShellHost(t)
	before := h.Settled()
	yaml, note := mindful(h, t, "mindful")
	first := runs(h, "mindful", yaml)
	if out, err := offline(t, h, "drain"); err == nil || !strings.Contains(out, "another podstead works on "+filepath.Join(h.Dir, "state")) || !strings.Contains(out, "systemctl stop podstead") {
		t.Errorf("drain beside a running podstead: %v: %s", err, out)
	}
	if now := h.WaitRunning("default/mindful", waitKernel); containerID(now) != containerID(first) {
		t.Error("a drain that was refused stopped the pod")
	}
	h.Stop()
	out, err := offline(t, h, "drain")
	if want := "pod default/mindful stopped\nnode testhost drained\n"; err != nil || out != want {
		t.Fatalf("drain: %v: got %q, want %q", err, out, want)
	}
	if text, err := os.ReadFile(note); err != nil || string(text) != "done\n" {
		t.Errorf("the pod had no time to end: %q, %v", text, err)
	}
	if h.ContainerdRuns() {
		t.Error("containerd still runs")
	}
	// It is well when there is nothing to do.
	if out, err := offline(t, h, "drain"); err != nil || out != "node testhost drained\n" {
		t.Errorf("second drain: %v: %q", err, out)
	}
	h.Start()
	again := h.WaitRunning("default/mindful", waitKernel)
	if containerID(again) == containerID(first) {
		t.Error("the pod was not started anew")
	}
	h.Remove("mindful.yaml")
	h.WaitGone("default/mindful", waitKernel)
	h.NoLeaks(before, waitKernel)
}

// everything is what podstead could leave on a host, its containerd, which is
// gone, left out.
func everything(t *testing.T, h *harness.Host) leaks.Snapshot {
	t.Helper()
	s, err := leaks.Take(t.Context(), leaks.Config{CgroupRoot: h.CgroupRoot, Files: []string{h.Dir}, Ours: h.Dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPurgeLeavesNothingButWhatIsOthers(t *testing.T) {
	h := harness.New(t, harness.Options{})
	addShell(t, h)
	yaml, note := mindful(h, t, "mindful")
	h.Write("mindful.yaml", yaml)
	if err := errors.Join(os.Remove(h.Logs), os.Remove(h.Links)); err != nil { // podstead makes them
		t.Fatal(err)
	}
	before := everything(t, h)
	h.Start()
	h.WaitRunning("default/mindful", waitKernel)
	says(t, h, "mindful", "hello")
	h.Stop()

	out, err := offline(t, h, "purge")
	exit, _ := errors.AsType[*exec.ExitError](err)
	if exit == nil || exit.ExitCode() != 1 || !strings.Contains(out, filepath.Join(h.Dir, "state")+"  ") || !strings.Contains(out, "--yes") {
		t.Errorf("purge that was not confirmed: %v: %s", err, out)
	}
	if !h.ContainerdRuns() {
		t.Fatal("a purge that was not confirmed did something")
	}
	// What somebody bound into a folder of podstead is somebody's data.
	bound := filepath.Join(h.Dir, "state", "sources", "bound")
	if err := errors.Join(os.Mkdir(bound, 0o700), unix.Mount(filepath.Dir(note), bound, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	out, err = offline(t, h, "purge", "--yes")
	if want := "pod default/mindful stopped\n"; err != nil || out != want {
		t.Fatalf("purge: %v: got %q, want %q", err, out, want)
	}
	if text, err := os.ReadFile(note); err != nil || string(text) != "done\n" {
		t.Errorf("hostPath data after a graceful end: %q, %v", text, err)
	}
	allowed := []string{"config.yaml", "podstead.log", "data/mindful/note"}
	for _, line := range leaks.Diff(before, everything(t, h)) {
		_, path, isFile := strings.Cut(line, "+ file: "+h.Dir+"/")
		if !isFile || !slices.Contains(allowed, path) {
			t.Errorf("after the purge: %s", line)
		}
	}
	if out, err := offline(t, h, "purge", "--yes"); err != nil || !strings.HasPrefix(out, "nothing is left of podstead") {
		t.Errorf("second purge: %v: %s", err, out)
	}
}

func TestPurgeKeepsFilesOfOthers(t *testing.T) {
	h := newShellHost(t)
	runs(h, "web", simple("web", script(), "", ""))
	h.Kill9()
	h.SignalContainerd(unix.SIGKILL)
	mine := filepath.Join(h.Dir, "state", "accounts.db")
	if err := os.WriteFile(mine, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := offline(t, h, "purge", "--yes")
	if want := "left in " + filepath.Join(h.Dir, "state") + ", made or mounted by others: accounts.db\n"; err != nil || !strings.Contains(out, want) {
		t.Errorf("purge: %v: got %q, want %q", err, out, want)
	}
	entries, err := os.ReadDir(filepath.Dir(mine))
	if err != nil || len(entries) != 1 || entries[0].Name() != "accounts.db" {
		t.Errorf("left: %v, %v, want accounts.db", entries, err)
	}
}
