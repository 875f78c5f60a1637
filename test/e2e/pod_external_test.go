package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

// TestExternalContainerd16 lets podstead use Debian's containerd, which others
// start and kill.
func TestExternalContainerd16(t *testing.T) {
	bin, err := harness.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	h := harness.New(t, harness.Options{Config: fmt.Sprintf("restart: {base: 1s, max: 2s, reset: 10m}\nimageGC: {highThresholdPercent: 60, minimumAge: 1s}\n"+
		"runtime: {mode: external, address: '{DIR}/c/c.sock', logger: %[1]s/podstead-logger, pause: %[1]s/podstead-pause, hostsDir: '{DIR}/hosts'}\n", bin)})
	h.Containerd = filepath.Join(h.Dir, "c/c.sock")
	disk := h.Mount("c/root", 128, 0)
	r := images.NewRegistry()
	t.Cleanup(r.Close)
	if err := r.WriteHosts(h.Hosts); err != nil {
		t.Fatal(err)
	}
	pushBig(t, r, "old:1", 12, 0)
	addShell(t, h)
	start := debianContainerd(t, h)
	start()
	h.Start()
	before := h.Settled()

	gate := folder(t, h, "gate")
	mount := fmt.Sprintf("volumes:\n- {name: v, hostPath: {path: %s}}\n", gate)
	h.Write("ends.yaml", simple("ends", once("while [ ! -e /v/go ]; do sleep 0.1; done; rm /v/go; exit 7"), mount, "volumeMounts: [{name: v, mountPath: /v}]\n"))
	stays := runs(h, "stays", simple("stays", script("echo hello"), "", "resources: {limits: {cpu: 100m, memory: 32Mi}}\n"))
	ends := h.WaitRunning("default/ends", time.Minute)
	says(t, h, "stays", "hello")
	memoryLimit.wait(h, containerCgroup(h, stays, "app"), "33554432")

	// It tells where its images are, and what is not needed is removed there.
	old := r.Host() + "/old:1"
	usedOnce(h, "old", old)
	told(h, []string{"/c/root/io.containerd.snapshotter.v1.overlayfs (images)"}, "status")
	h.Eventually(time.Minute, func() error { return kept(h, map[string]string{old: "ago no"}) })
	disk.Leave(disk.Size() / 4)
	h.Eventually(time.Minute, func() error { return kept(h, map[string]string{old: "", shell: "now used"}) })
	disk.Empty()

	h.SignalContainerd(syscall.SIGKILL)
	if err := os.WriteFile(filepath.Join(gate, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	at := containerCgroup(h, ends, "app")
	h.Eventually(waitKernel, func() error { return emptyCgroup(at) })
	start()
	h.WaitPod("default/ends", time.Minute, func(p corev1.Pod) error {
		c := p.Status.ContainerStatuses[0]
		if end := c.LastTerminationState.Terminated; c.RestartCount != 1 || c.State.Running == nil || end == nil || end.ExitCode != 7 {
			return fmt.Errorf("%+v, want it restarted once after exit code 7", c)
		}
		return nil
	})
	if now := h.WaitRunning("default/stays", waitKernel); containerID(now) != containerID(stays) || now.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("while containerd was away, container %s became %+v", containerID(stays), now.Status.ContainerStatuses[0])
	}
	h.Remove("ends.yaml")
	h.Remove("stays.yaml")
	h.WaitGone("default/ends", waitKernel)
	h.WaitGone("default/stays", waitKernel)
	h.NoLeaks(before, 20*time.Second)
	h.Stop()
	if !h.ContainerdRuns() {
		t.Error("podstead took a containerd along that is not its own")
	}
	purgeLeavesOthersContainerd(t, h)
}

// purgeLeavesOthersContainerd: only what is podstead's is removed from it.
func purgeLeavesOthersContainerd(t *testing.T, h *harness.Host) {
	t.Helper()
	c, err := client.New(h.Containerd)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	spaces := c.NamespaceService()
	if err := spaces.Create(namespaces.WithNamespace(t.Context(), "others"), "others", nil); err != nil {
		t.Fatal(err)
	}
	if out, err := offline(t, h, "purge", "--yes"); err != nil || out != "" {
		t.Errorf("purge: %v: %s", err, out)
	}
	if left, err := spaces.List(t.Context()); err != nil || !slices.Equal(left, []string{"others"}) {
		t.Errorf("namespaces %q, %v, want that of others alone", left, err)
	}
	if !h.ContainerdRuns() {
		t.Error("the purge took a containerd along that is not podstead's")
	}
}

// emptyCgroup tells whether the processes of a cgroup are gone.
func emptyCgroup(cgroup string) error {
	path := filepath.Join("/sys/fs/cgroup", "pids", cgroup, "cgroup.procs")
	if unifiedOnly() {
		path = filepath.Join("/sys/fs/cgroup", cgroup, "cgroup.procs")
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && len(text) > 0 {
		err = fmt.Errorf("processes %q still run", text)
	}
	return err
}

// debianContainerd returns what starts Debian's containerd with everything of
// it below the host's folder.
func debianContainerd(t *testing.T, h *harness.Host) (start func()) {
	t.Helper()
	files, err := images.Unpack(t.Context(), "containerd")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(h.Dir, "c")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("version = 2\nroot = \"%[1]s/root\"\nstate = \"%[1]s/state\"\n"+
		"disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n"+
		"[grpc]\n  address = \"%[1]s/c.sock\"\n[ttrpc]\n  address = \"%[1]s/c.sock.ttrpc\"\n", dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return func() {
		bin := filepath.Join(files, "usr/bin")
		cmd := exec.Command(filepath.Join(bin, "containerd"), "--config", config)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The host's clean-up ends it.
		go func() { _ = cmd.Wait() }()
	}
}
