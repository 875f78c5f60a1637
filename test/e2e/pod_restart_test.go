package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

// TestRow67_CompletedPodsStayCompletedAfterRestart: and what they asked for is
// free again.
func TestRow67_CompletedPodsStayCompletedAfterRestart(t *testing.T) {
	h := newShellHost(t)
	// No two of these fit at the same time.
	request := fmt.Sprintf("resources: {requests: {cpu: %dm}}\n", runtime.NumCPU()*700)
	ids := map[string]string{}
	for name, code := range map[string]string{"well": "exit 0", "badly": "exit 3"} {
		h.Write(name+".yaml", simple(name, once("echo ran", code), "restartPolicy: Never\n", request))
		ids[name] = containerID(ended(h, name))
	}
	h.Kill9()
	h.Start()
	h.SignalContainerd(syscall.SIGKILL)
	h.WaitReady(waitKernel)
	h.Stop()
	h.Start()
	for name, phase := range map[string]corev1.PodPhase{"well": corev1.PodSucceeded, "badly": corev1.PodFailed} {
		p := ended(h, name)
		end := last(p)
		if p.Status.Phase != phase || containerID(p) != ids[name] || end == nil || p.Status.ContainerStatuses[0].RestartCount != 0 {
			t.Errorf("%s is %s, %+v, want %s and the container that ran", name, p.Status.Phase, p.Status.ContainerStatuses, phase)
		}
		if out, err := h.CLI("logs", name); err != nil || out != "ran\n" {
			t.Errorf("%s: log %q, %v, want that it ran once", name, out, err)
		}
	}
	runs(h, "third", simple("third", script(), "", request))
}

// newShellHost is a host with the shell's image, on which podstead runs.
func newShellHost(t *testing.T) *harness.Host {
	t.Helper()
	h := harness.New(t, harness.Options{})
	addShell(t, h)
	h.Start()
	return h
}

// TestThreat22_LabelsOfImagesAreNotCopied: containerd's restart monitor takes
// orders from labels, up to running programs of the host (CVE-2026-53488).
func TestThreat22_LabelsOfImagesAreNotCopied(t *testing.T) {
	h := newShellHost(t)
	pwned := filepath.Join(h.Data, "pwned")
	hostile(t, h, "example.org/labels:1", v1.Config{Labels: map[string]string{
		"containerd.io/restart.status": "running", "containerd.io/restart.policy": "always",
		"containerd.io/restart.loguri":   "binary:///bin/touch?" + pwned,
		"io.cri-containerd.kind":         "sandbox",
		"cdi.k8s.io/device":              "vendor.com/device=all",
		"podstead.dev/pod":               "other",
		"org.opencontainers.image.title": "harmless",
	}})
	h.Write("labels.yaml", strings.ReplaceAll(simple("labels", script(), "", ""), shell, "example.org/labels:1"))
	p := h.WaitRunning("default/labels", time.Minute)
	for key, value := range containerLabels(t, h, p) {
		if strings.HasPrefix(key, "containerd.io/") || strings.HasPrefix(key, "io.cri") || strings.HasPrefix(key, "cdi.") ||
			strings.HasPrefix(key, "org.") || value == "other" {
			t.Errorf("the container has the image's label %s=%s", key, value)
		}
	}
	h.SignalContainerd(syscall.SIGKILL)
	h.WaitReady(waitKernel)
	killContainer(t, h, p, "app")
	again := h.WaitPod("default/labels", waitKernel, func(p corev1.Pod) error {
		if c := p.Status.ContainerStatuses[0]; c.RestartCount != 1 || c.State.Running == nil {
			return errors.New("it was not restarted yet")
		}
		return nil
	})
	if found, err := containersOf(t, h, again); err != nil || len(found) != 2 {
		t.Errorf("containers %v, %v, want the dead one and its successor", found, err)
	}
	if _, err := os.Stat(pwned); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the image had a program of the host run: %v", err)
	}
}

// containerLabels are those of a pod's only container, as containerd has them.
func containerLabels(t *testing.T, h *harness.Host, p corev1.Pod) map[string]string {
	t.Helper()
	c, err := client.New(h.Containerd)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := namespaces.WithNamespace(t.Context(), "podstead")
	loaded, err := c.LoadContainer(ctx, strings.TrimPrefix(containerID(p), "containerd://"))
	if err != nil {
		t.Fatal(err)
	}
	labels, err := loaded.Labels(ctx)
	if err != nil || len(labels) == 0 {
		t.Fatalf("labels %v, %v", labels, err)
	}
	return labels
}

// TestContainerdWaitsForASlowShim: a containerd that starts gives up a shim that
// does not answer, and kills its containers. On a busy server that must not come
// soon.
func TestContainerdWaitsForASlowShim(t *testing.T) {
	h := newShellHost(t)
	before := runs(h, "slow", simple("slow", script(), "", ""))
	shims := h.Processes("containerd-shim-runc-v2")
	for _, pid := range shims {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	h.SignalContainerd(syscall.SIGKILL)
	h.Eventually(waitKernel, func() error {
		if !h.ContainerdRuns() {
			return errors.New("containerd does not run")
		}
		return nil
	})
	time.Sleep(8 * time.Second) // longer than containerd waits by itself
	for _, pid := range shims {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}
	h.WaitReady(waitKernel)
	h.Eventually(waitKernel, func() error {
		out, err := h.CLI("exec", "slow", "--", "/bin/busybox", "true")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if now := h.WaitRunning("default/slow", waitKernel); containerID(now) != containerID(before) || now.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("container %s became %+v", containerID(before), now.Status.ContainerStatuses[0])
	}
}
