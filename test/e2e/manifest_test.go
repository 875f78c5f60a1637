package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/checker"
	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

const image = "example.org/witness:1"

var bounds = checker.Bounds{Recovery: 10 * time.Second, Beat: 2 * time.Second}

// newHost makes a host with the image of witnesses, on which podstead runs.
func newHost(t *testing.T, o harness.Options) *harness.Host {
	t.Helper()
	h := harness.New(t, o)
	h.AddWitnessImage(image)
	h.Start()
	return h
}

// witnessPod is a manifest of a pod with one witness, "app".
func witnessPod(h *harness.Host, name, generation string, args ...string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  name: %[1]s
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: app
    image: %[2]s
    args: [%[3]s]
    env:
    - {name: WITNESS_DIR, value: /w}
    - {name: WITNESS_ID, value: default_%[1]s_app}
    - {name: WITNESS_GENERATION, value: %[4]q}
    - {name: WITNESS_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
    volumeMounts:
    - {name: w, mountPath: /w}
  volumes:
  - {name: w, hostPath: {path: %[5]s, type: Directory}}
`, name, image, quoted(args), generation, h.Witness)
}

func quoted(args []string) string {
	var q []string
	for _, a := range args {
		q = append(q, fmt.Sprintf("%q", a))
	}
	return strings.Join(q, ", ")
}

func want(name, generation string) record.Manifest {
	m := record.Manifest{Pod: "default/" + name, Grace: 5 * time.Second}
	if generation != "" {
		m.Containers = map[string]string{"app": generation}
	}
	return m
}

// logged waits for a line in the log of a pod's container.
func logged(h *harness.Host, pod, line string) {
	h.Eventually(10*time.Second, func() error {
		out, err := h.CLI("logs", pod)
		if err == nil && !strings.Contains("\n"+out, "\n"+line+"\n") {
			err = fmt.Errorf("no line %q in the log of %s: %.200q", line, pod, out)
		}
		return err
	})
}

func TestAManifestBecomesARunningContainerAndLeavesNothing(t *testing.T) {
	h := newHost(t, harness.Options{})
	before := h.Settled()

	h.Want(want("web", "1"))
	h.Write("web.yaml", witnessPod(h, "web", "1", "-say", "hello", "-complain", "oops"))
	p := h.WaitRunning("default/web", 30*time.Second)
	if p.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("restart count %d, want 0", p.Status.ContainerStatuses[0].RestartCount)
	}
	logged(h, "web", "hello")
	logged(h, "web", "oops")
	if diff := h.Leaks(); len(diff["task"]) != 1 || len(diff["cgroup"]) <= len(before["cgroup"]) {
		t.Errorf("while it runs there are %d tasks and %d cgroups: the look for leaks is blind", len(diff["task"]), len(diff["cgroup"]))
	}

	h.Remove("web.yaml")
	h.Want(want("web", ""))
	h.WaitGone("default/web", 20*time.Second)
	h.NoLeaks(before, 10*time.Second)
	h.Judge(bounds)
	h.Stop()
}

func TestContainersSurviveRestartsOfPodsteadAndContainerd(t *testing.T) {
	h := newHost(t, harness.Options{})
	before := h.Settled()
	h.Want(want("web", "1"))
	h.Write("web.yaml", witnessPod(h, "web", "1"))
	first := h.WaitRunning("default/web", 30*time.Second)

	from := record.Now()
	h.Kill9()
	h.Start()
	h.WaitRunning("default/web", 30*time.Second)
	h.Fault("kill podstead", "", from)

	from = record.Now()
	h.SignalContainerd(syscall.SIGKILL)
	h.WaitReady(30 * time.Second)
	h.WaitRunning("default/web", 30*time.Second)
	h.Fault("kill containerd", "", from)

	from = record.Now()
	h.Stop()
	h.Start()
	h.Fault("stop podstead", "", from)

	last := h.WaitRunning("default/web", 30*time.Second)
	if a, b := containerID(first), containerID(last); a != b || first.UID != last.UID {
		t.Errorf("container %s of pod %s became %s of %s", a, first.UID, b, last.UID)
	}
	h.Judge(bounds)
	h.Remove("web.yaml")
	h.WaitGone("default/web", 20*time.Second)
	h.NoLeaks(before, 20*time.Second)
}

func containerID(p corev1.Pod) string {
	if len(p.Status.ContainerStatuses) == 0 {
		return ""
	}
	return p.Status.ContainerStatuses[0].ContainerID
}

func TestACrashIsRestartedAndExplained(t *testing.T) {
	h := newHost(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 1m}\n"})
	h.Write("crash.yaml", witnessPod(h, "crash", "1", "-say", "last words", "-exit-after", "300ms", "-exit-code", "3"))
	p := h.WaitPod("default/crash", 30*time.Second, func(p corev1.Pod) error {
		if len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].RestartCount < 2 {
			return fmt.Errorf("status %+v, want 2 restarts", p.Status.ContainerStatuses)
		}
		return nil
	})
	ended := p.Status.ContainerStatuses[0].LastTerminationState.Terminated
	if ended == nil || ended.ExitCode != 3 || ended.Reason != "Error" {
		t.Errorf("last state %+v, want exit code 3, reason Error", ended)
	}
	out, err := h.CLI("logs", "--previous", "crash")
	if err != nil || !strings.Contains(out, "last words\n") {
		t.Errorf("previous log %q, %v", out, err)
	}
}
