package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

var healthRows = []row{
	{"Row38_ReadinessFollowsItsProbeAndRestartsNothing", readinessFollows},
	{"Row38_ReadinessByHTTPOnANamedPort", readinessByHTTP},
	{"Row38_NotReadyBeforeTheInitialDelay", readinessDelay},
	{"Row38_LivenessRestarts", livenessRestarts},
	{"Row38_ExecTimeoutCountsAsFailure", execTimeout},
	{"Row38_StartupGatesLiveness", startupGates},
	{"Row38_GraceOfTheProbe", probeGrace},
	{"Row27_SidecarStartupProbeGatesTheNextContainer", sidecarGates},
	{"Row25_ReadinessGoesOnDuringPreStop", readinessDuringPreStop},
	{"SubSecondPeriod", subSecondPeriod},
}

// healthy is a pod whose container "app" has the probes and hooks that are
// given; a folder of the test is at /d.
func healthy(t *testing.T, h *harness.Host, name, command, probes string) (dir, yaml string) {
	t.Helper()
	dir = folder(t, h, name)
	return dir, simple(name, command, fmt.Sprintf("volumes:\n- {name: d, hostPath: {path: %s}}\n", dir),
		"volumeMounts:\n- {name: d, mountPath: /d}\n"+probes)
}

func touch(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func erase(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// shows waits until the container "app" of a pod is as wanted.
func shows(h *harness.Host, name string, condition func(corev1.ContainerStatus) error) corev1.ContainerStatus {
	var found corev1.ContainerStatus
	h.WaitPod("default/"+name, patience, func(p corev1.Pod) error {
		for _, c := range p.Status.ContainerStatuses {
			if c.Name == "app" {
				found = c
				return condition(c)
			}
		}
		return errors.New("it has no container app")
	})
	return found
}

// becomes waits until "app" runs and is ready, or is not.
func becomes(h *harness.Host, name string, ready bool) corev1.ContainerStatus {
	return shows(h, name, func(c corev1.ContainerStatus) error {
		if c.State.Running == nil || c.Ready != ready {
			return fmt.Errorf("%+v, ready %v, want it running and ready %v", c.State, c.Ready, ready)
		}
		return nil
	})
}

// restartedAtLeast waits until "app" was restarted so often.
func restartedAtLeast(h *harness.Host, name string, times int32) corev1.ContainerStatus {
	return shows(h, name, func(c corev1.ContainerStatus) error {
		if c.RestartCount < times {
			return fmt.Errorf("restarted %d times, want %d", c.RestartCount, times)
		}
		return nil
	})
}

// tells waits for an event about a pod.
func tells(h *harness.Host, name, reason, words string) {
	h.Eventually(patience, func() error {
		out, err := h.CLI("describe", "pod", name)
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, reason) && strings.Contains(line, words) {
				return nil
			}
		}
		return fmt.Errorf("no event %s with %q in:\n%s", reason, words, out)
	})
}

const fileProbe = "exec: {command: [/bin/busybox, test, -f, /d/%s]}, periodSeconds: 1"

func readinessFollows(t *testing.T, h *harness.Host) {
	dir, yaml := healthy(t, h, "follows", script("true"), "readinessProbe: {"+fmt.Sprintf(fileProbe, "ok")+"}\n")
	h.Write("follows.yaml", yaml)
	becomes(h, "follows", false)
	tells(h, "follows", "Unhealthy", "readiness probe of container app failed")
	touch(t, dir, "ok")
	becomes(h, "follows", true)
	erase(t, dir, "ok")
	if c := becomes(h, "follows", false); c.RestartCount != 0 {
		t.Errorf("it was restarted %d times, want never", c.RestartCount)
	}
}

func readinessByHTTP(t *testing.T, h *harness.Host) {
	dir, yaml := healthy(t, h, "http", script("/bin/busybox httpd -p 8000 -h /d"),
		"ports:\n- {name: web, containerPort: 8000}\nreadinessProbe: {httpGet: {path: /ok, port: web}, periodSeconds: 1, failureThreshold: 1}\n")
	h.Write("http.yaml", yaml)
	becomes(h, "http", false)
	tells(h, "http", "Unhealthy", "status 404")
	touch(t, dir, "ok")
	becomes(h, "http", true)
}

func readinessDelay(t *testing.T, h *harness.Host) {
	const delay = 4 * time.Second
	_, yaml := healthy(t, h, "delay", script("true"), "readinessProbe: {exec: {command: [/bin/busybox, 'true']}, periodSeconds: 1, initialDelaySeconds: 4}\n")
	h.Write("delay.yaml", yaml)
	c := becomes(h, "delay", true)
	// The start is known to the second.
	if age := time.Since(c.State.Running.StartedAt.Time); age < delay {
		t.Errorf("it is ready %s after its start, want at least %s", age, delay)
	}
}

func livenessRestarts(t *testing.T, h *harness.Host) {
	dir, yaml := healthy(t, h, "alive", script("echo run"), "livenessProbe: {"+fmt.Sprintf(fileProbe, "ok")+"}\n")
	touch(t, dir, "ok")
	h.Write("alive.yaml", yaml)
	becomes(h, "alive", true)
	erase(t, dir, "ok")
	restartedAtLeast(h, "alive", 1)
	touch(t, dir, "ok")
	tells(h, "alive", "Killing", "its liveness probe failed")
	c := becomes(h, "alive", true)
	if last := c.LastTerminationState.Terminated; last == nil || last.ExitCode != 143 && last.ExitCode != 137 {
		t.Errorf("the run before is shown as %+v, want one that was ended", last)
	}
}

func execTimeout(t *testing.T, h *harness.Host) {
	_, yaml := healthy(t, h, "timeout", script("true"), "livenessProbe: {exec: {command: [/bin/busybox, sleep, '60']}, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1}\n")
	h.Write("timeout.yaml", yaml)
	restartedAtLeast(h, "timeout", 1)
}

// A container that is slow to start is not killed by its liveness probe.
func startupGates(t *testing.T, h *harness.Host) {
	dir, yaml := healthy(t, h, "gates", script("true"),
		"startupProbe: {"+fmt.Sprintf(fileProbe, "up")+", failureThreshold: 600}\n"+
			"livenessProbe: {"+fmt.Sprintf(fileProbe, "ok")+", failureThreshold: 1}\n")
	h.Write("gates.yaml", yaml)
	becomes(h, "gates", false)
	time.Sleep(3 * time.Second) // in which liveness would have killed it
	if c := becomes(h, "gates", false); c.RestartCount != 0 || c.Started == nil || *c.Started {
		t.Errorf("before its startup probe: %+v", c)
	}
	touch(t, dir, "ok")
	touch(t, dir, "up")
	if c := becomes(h, "gates", true); c.RestartCount != 0 || !*c.Started {
		t.Errorf("after its startup probe: %+v", c)
	}
	erase(t, dir, "ok")
	restartedAtLeast(h, "gates", 1)
}

// The probe's own grace is in the place of the pod's.
func probeGrace(t *testing.T, h *harness.Host) {
	_, yaml := healthy(t, h, "grace", script("trap '' TERM", "while :; do /bin/busybox sleep 1; done"),
		"livenessProbe: {exec: {command: [/bin/busybox, 'false']}, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 2}\n")
	h.Write("grace.yaml", strings.Replace(yaml, "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 40\n", 1))
	last := restartedAtLeast(h, "grace", 1).LastTerminationState.Terminated
	if lived := last.FinishedAt.Sub(last.StartedAt.Time); last.ExitCode != 137 || lived > 30*time.Second {
		t.Errorf("the run before is shown as %+v and lived for %s, want it killed after some 3 s", last, lived)
	}
}

func sidecarGates(t *testing.T, h *harness.Host) {
	dir := folder(t, h, "sidegate")
	h.Write("sidegate.yaml", manifest("sidegate", fmt.Sprintf(`  volumes:
  - {name: d, hostPath: {path: %[1]s}}
  initContainers:
  - name: proxy
    image: %[2]s
    restartPolicy: Always
    command: %[3]s
    volumeMounts: [{name: d, mountPath: /d}]
    startupProbe: {%[4]s, failureThreshold: 600}
  containers:
  - {name: app, image: %[2]s, command: %[3]s}
`, dir, shell, script("true"), fmt.Sprintf(fileProbe, "up"))))
	started := func(p corev1.Pod) (proxy, app bool) {
		return slices.ContainsFunc(p.Status.InitContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Running != nil }),
			slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Running != nil })
	}
	h.WaitPod("default/sidegate", patience, func(p corev1.Pod) error {
		if proxy, _ := started(p); !proxy {
			return errors.New("the sidecar does not run")
		}
		return nil
	})
	time.Sleep(2 * time.Second)
	if p, err := h.Pod("default/sidegate"); err != nil {
		t.Fatal(err)
	} else if _, app := started(p); app {
		t.Error("app was started before its sidecar's startup probe succeeded")
	}
	touch(t, dir, "up")
	h.WaitRunning("default/sidegate", patience)
}

// While the preStop hook runs the container is judged by readiness, and not
// killed by liveness.
func readinessDuringPreStop(t *testing.T, h *harness.Host) {
	dir, yaml := healthy(t, h, "draining", script("trap 'exit 0' TERM"), "readinessProbe: {"+fmt.Sprintf(fileProbe, "ok")+", failureThreshold: 1}\n"+
		"livenessProbe: {"+fmt.Sprintf(fileProbe, "ok")+", failureThreshold: 1}\n"+
		"lifecycle: {preStop: {exec: {command: [/bin/busybox, sh, -c, 'touch /d/draining; until test -f /d/drained; do sleep 0.1; done']}}}\n")
	touch(t, dir, "ok")
	h.Write("draining.yaml", strings.Replace(yaml, "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 300\n", 1))
	becomes(h, "draining", true)
	h.Remove("draining.yaml")
	h.Eventually(patience, func() error {
		_, err := os.Stat(filepath.Join(dir, "draining"))
		return err
	})
	erase(t, dir, "ok")
	becomes(h, "draining", false)
	time.Sleep(3 * time.Second) // in which liveness would have killed it
	if c := becomes(h, "draining", false); c.RestartCount != 0 {
		t.Errorf("it was restarted %d times", c.RestartCount)
	}
	touch(t, dir, "drained")
	h.WaitGone("default/draining", patience)
}

func subSecondPeriod(t *testing.T, h *harness.Host) {
	dir, yaml := healthy(t, h, "fast", script("true"),
		"readinessProbe: {exec: {command: [/bin/busybox, sh, -c, 'echo >> /d/probed']}}\n")
	h.Write("fast.yaml", strings.Replace(yaml, "metadata: {name: fast}", "metadata: {name: fast, annotations: {readiness.probe.podstead.dev/app: 200ms}}", 1))
	becomes(h, "fast", true)
	h.Eventually(10*time.Second, func() error { // far below ten periods of 10 s
		text, err := os.ReadFile(filepath.Join(dir, "probed"))
		if n := strings.Count(string(text), "\n"); err == nil && n < 10 {
			return fmt.Errorf("%d probes, want 10", n)
		}
		return err
	})
}
