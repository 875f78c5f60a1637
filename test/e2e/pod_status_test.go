package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

var statusRows = []row{
	{"Row20_InitCompletesBeforeTheRegularContainer", initFirst},
	{"Row40_ExpectedStatus", expectedStatus},
	{"Row40_TerminationMessageFromFile", messageFromFile},
	{"Row40_TerminationMessageFallsBackToLogsOnErrorOnly", messageFromLog},
	{"Row41_Expansion", expansion},
	{"Row41_ExpansionOfSubPaths", subPathExpansion},
	{"Row42_DownwardAPIInEnvironment", downward},
	{"Row60_AtMostOneDeadContainerIsKept", deadContainers},
	{"Row68_SIGKILLIsExit137Error", killed},
	{"Row69_RemovalWithAVanishedHostPath", vanishedHostPath},
}

// last is the end of a pod's only container: this run's or the one before.
func last(p corev1.Pod) *corev1.ContainerStateTerminated {
	if len(p.Status.ContainerStatuses) == 0 {
		return nil
	}
	c := p.Status.ContainerStatuses[0]
	if c.State.Terminated != nil {
		return c.State.Terminated
	}
	return c.LastTerminationState.Terminated
}

func initFirst(t *testing.T, h *harness.Host) {
	p := runs(h, "init-first", manifest("init-first", fmt.Sprintf(`  initContainers:
  - {name: one, image: %[1]s, command: %[2]s, volumeMounts: [{name: v, mountPath: /v}]}
  - {name: two, image: %[1]s, command: %[3]s, volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: app, image: %[1]s, command: %[4]s, volumeMounts: [{name: v, mountPath: /v}]}
  volumes:
  - {name: v, emptyDir: {}}
`, shell, once("sleep 2", "echo one >> /v/order"), once("sleep 2", "echo two >> /v/order"), script("cat /v/order"))))
	out, err := h.CLI("logs", "init-first", "-c", "app")
	if err != nil || out != "one\ntwo\n" {
		says(t, h, "init-first", "one", "two")
	}
	started := p.Status.ContainerStatuses[0].State.Running.StartedAt
	for _, c := range p.Status.InitContainerStatuses {
		end := c.State.Terminated
		if end == nil || end.Reason != "Completed" || started.Before(&end.FinishedAt) {
			t.Errorf("init container %s: %+v, want it completed before app started at %s", c.Name, c.State, started)
		}
	}
}

func expectedStatus(t *testing.T, h *harness.Host) {
	cases := []struct {
		policy   corev1.RestartPolicy
		code     int32
		phase    corev1.PodPhase
		restarts bool
	}{
		{corev1.RestartPolicyAlways, 1, corev1.PodRunning, true},
		{corev1.RestartPolicyAlways, 0, corev1.PodRunning, true},
		{corev1.RestartPolicyOnFailure, 1, corev1.PodRunning, true},
		{corev1.RestartPolicyOnFailure, 0, corev1.PodSucceeded, false},
		{corev1.RestartPolicyNever, 7, corev1.PodFailed, false},
		{corev1.RestartPolicyNever, 0, corev1.PodSucceeded, false},
	}
	for _, c := range cases {
		name := fmt.Sprintf("status-%s-%d", strings.ToLower(string(c.policy)), c.code)
		h.Write(name+".yaml", simple(name, once(fmt.Sprintf("exit %d", c.code)), fmt.Sprintf("restartPolicy: %s\n", c.policy), ""))
	}
	for _, c := range cases {
		name := fmt.Sprintf("status-%s-%d", strings.ToLower(string(c.policy)), c.code)
		p := h.WaitPod("default/"+name, time.Minute, func(p corev1.Pod) error {
			end := last(p)
			restarts := end != nil && p.Status.ContainerStatuses[0].RestartCount > 0
			if p.Status.Phase != c.phase || end == nil || end.ExitCode != c.code || restarts != c.restarts {
				return fmt.Errorf("phase %s, %+v, want %s, code %d, restarts %v", p.Status.Phase, p.Status.ContainerStatuses, c.phase, c.code, c.restarts)
			}
			return nil
		})
		reason := "Error"
		if c.code == 0 {
			reason = "Completed"
		}
		if end := last(p); end.Reason != reason {
			t.Errorf("%s: %s, want %s", name, end.Reason, reason)
		}
		if now := p.Status.ContainerStatuses[0]; now.Ready && now.State.Running == nil {
			t.Errorf("%s: %+v is ready, though it does not run", name, now)
		}
	}
}

func messageFromFile(t *testing.T, h *harness.Host) {
	h.Write("message.yaml", simple("message", once("echo output; printf 'DONE by %s' $(id -u) > /dev/own-message"), "restartPolicy: Never\n",
		"terminationMessagePath: /dev/own-message\nsecurityContext: {runAsUser: 1000}\n"))
	if end := last(ended(h, "message")); end.Message != "DONE by 1000" {
		t.Errorf("%+v, want the message DONE by 1000", end)
	}
	long := `head -c 5000 /dev/zero | tr '\0' x > /dev/termination-log`
	h.Write("message-long.yaml", simple("message-long", once(long), "restartPolicy: Never\n", ""))
	if end := last(ended(h, "message-long")); len(end.Message) != 4096 {
		t.Errorf("a message of %d bytes is kept of 5000, want 4096", len(end.Message))
	}
}

func messageFromLog(t *testing.T, h *harness.Host) {
	cases := map[string]struct{ script, want string }{
		"fallback-failed": {"echo first; echo second >&2; exit 1", "first\nsecond"},
		"fallback-well":   {"echo first; exit 0", ""},
		"fallback-file":   {"echo first; printf own > /dev/termination-log; exit 1", "own"},
	}
	for name, c := range cases {
		h.Write(name+".yaml", simple(name, once(c.script), "restartPolicy: Never\n", "terminationMessagePolicy: FallbackToLogsOnError\n"))
	}
	for name, c := range cases {
		got := last(ended(h, name)).Message
		if strings.TrimSpace(got) != c.want && strings.TrimSpace(got) != "second\nfirst" {
			t.Errorf("%s: message %q, want %q", name, got, c.want)
		}
	}
}

func expansion(t *testing.T, h *harness.Host) {
	runs(h, "expansion", manifest("expansion", fmt.Sprintf(`  containers:
  - name: app
    image: %s
    command: [/bin/busybox, sh, -c, 'echo "command=$(BOTH)"; echo "args=$0"; env; sleep 1000 & wait']
    args: ["$(BOTH) $$(BOTH) $(UNKNOWN)"]
    env:
    - {name: EARLY, value: "$(LATE)"}
    - {name: ONE, value: one}
    - {name: BOTH, value: "$(ONE);two"}
    - {name: LATE, value: late}
`, shell)))
	says(t, h, "expansion", "BOTH=one;two", "EARLY=$(LATE)", "command=one;two", "args=one;two $(BOTH) $(UNKNOWN)")
}

func subPathExpansion(t *testing.T, h *harness.Host) {
	pod := func(name, value string) string {
		return simple(name, script("echo hello > /v/file"), fmt.Sprintf("volumes:\n- {name: v, hostPath: {path: %s}}\n", folder(t, h, "expr")),
			fmt.Sprintf("env:\n- {name: WHERE, value: %q}\nvolumeMounts:\n- {name: v, mountPath: /v, subPathExpr: $(WHERE)}\n", value))
	}
	runs(h, "expr-good", pod("expr-good", "some/where"))
	h.Eventually(10*time.Second, func() error {
		_, err := os.Stat(filepath.Join(h.Data, "expr/some/where/file"))
		return err
	})
	// What leads out of the volume is refused.
	h.Write("expr-absolute.yaml", pod("expr-absolute", "/etc"))
	waiting(h, "expr-absolute", "SubPathEscape", `"/etc" is not a relative path`)
	h.Write("expr-out.yaml", pod("expr-out", "../out"))
	waiting(h, "expr-out", "SubPathEscape", "..")
}

func downward(t *testing.T, h *harness.Host) {
	p := runs(h, "downward", fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  name: downward
  labels: {tier: front}
  annotations: {note/x: "some text"}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: %s
    command: %s
    resources: {requests: {cpu: 50m, memory: 16Mi}, limits: {cpu: 1500m, memory: 64Mi}}
    env:
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: NS, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: ID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
    - {name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['tier']"}}}
    - {name: NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['note/x']"}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    - {name: MILLI, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
    - {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
    - {name: MIB, valueFrom: {resourceFieldRef: {resource: requests.memory, divisor: 1Mi}}}
  - name: free
    image: %[1]s
    command: %[3]s
    env:
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    - {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
`, shell, script("env"), script("test $CPU = $(nproc) && test $MEM -gt 100 && echo defaults to the node")))
	says(t, h, "downward", "NAME=downward", "NS=default", "ID="+string(p.UID), "LABEL=front", "NOTE=some text",
		"NODE=testhost", "CPU=2", "MILLI=50", "MEM=67108864", "MIB=16")
	h.Eventually(10*time.Second, func() error {
		out, err := h.CLI("logs", "downward", "-c", "free")
		if err == nil && out != "defaults to the node\n" {
			err = fmt.Errorf("the container without limits said %q", out)
		}
		return err
	})
}

func deadContainers(t *testing.T, h *harness.Host) {
	h.Write("dead.yaml", simple("dead", once("exit 1"), "", ""))
	p := h.WaitPod("default/dead", time.Minute, func(p corev1.Pod) error {
		if len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].RestartCount < 4 {
			return fmt.Errorf("%+v, want 4 restarts", p.Status.ContainerStatuses)
		}
		return nil
	})
	h.Eventually(10*time.Second, func() error {
		out, err := containersOf(t, h, p)
		if err == nil && len(out) > 2 {
			err = fmt.Errorf("containerd has %d containers of the pod after 4 restarts, want the present one and the last dead one", len(out))
		}
		return err
	})
	h.Remove("dead.yaml")
	h.WaitGone("default/dead", 20*time.Second)
	if left, err := containersOf(t, h, p); err != nil || len(left) > 0 {
		t.Errorf("%d containers are left of the removed pod, %v", len(left), err)
	}
}

func killed(t *testing.T, h *harness.Host) {
	p := runs(h, "killed", simple("killed", script(), "restartPolicy: Never\n", ""))
	killContainer(t, h, p, "app")
	if end := last(ended(h, "killed")); end.ExitCode != 137 || end.Reason != "Error" || end.Signal != 9 {
		t.Errorf("%+v, want exit code 137, signal 9, reason Error", end)
	}
}

func vanishedHostPath(t *testing.T, h *harness.Host) {
	dir := folder(t, h, "vanishing")
	runs(h, "vanished", simple("vanished", script(), fmt.Sprintf("volumes:\n- {name: v, hostPath: {path: %s, type: Directory}}\n", dir),
		"volumeMounts:\n- {name: v, mountPath: /v}\n- {name: v, mountPath: /sub, subPath: below}\n"))
	if err := os.RemoveAll(dir); err != nil {
		// What is bound as a sub path is a mount point of another namespace
		// only, so it can go.
		t.Fatal(err)
	}
	h.Remove("vanished.yaml")
	h.WaitGone("default/vanished", 20*time.Second)
}
