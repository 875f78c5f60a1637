package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/logind"
)

// service is the unit as it is shipped.
const service = "../../systemd/podstead.service"

// hostWithLogind is a host that runs podstead as its unit does, and the logind
// that it asks.
func hostWithLogind(t *testing.T, config string) (*harness.Host, *logind.Host) {
	t.Helper()
	b := logind.NewBus(t, t.TempDir())
	b.Start()
	login := logind.New(t, b, 75*time.Second)
	h := harness.New(t, harness.Options{
		Unit: service, Config: "restart: {base: 1m, max: 5m, reset: 10m}\n" + config, Env: []string{"DBUS_SYSTEM_BUS_ADDRESS=" + b.Address},
	})
	addShell(t, h)
	return h, login
}

// leaves is the script of a container that writes into the diary when it is
// told to stop, and ends after a time.
func leaves(name string, after string) string {
	return script(fmt.Sprintf("trap 'echo %s >> /d/diary; sleep %s; exit 0' TERM", name, after))
}

// writers is a pod whose containers tell in a diary in what order they were
// stopped.
func writers(dir string) string {
	return manifest("writers", fmt.Sprintf(`  volumes:
  - {name: d, hostPath: {path: %[1]s}}
  - {name: kept, emptyDir: {}}
  initContainers:
  - name: first
    image: %[2]s
    command: %[3]s
    volumeMounts: [{name: d, mountPath: /d}]
  - name: side
    image: %[2]s
    restartPolicy: Always
    command: %[4]s
    volumeMounts: [{name: d, mountPath: /d}]
  containers:
  - name: app
    image: %[2]s
    command: %[5]s
    volumeMounts: [{name: d, mountPath: /d}, {name: kept, mountPath: /kept}]
    lifecycle: {preStop: %[6]s}
    readinessProbe: {exec: {command: [/bin/busybox, test, -e, /d/ready]}, periodSeconds: 1}
`, dir, shell, once("echo init >> /d/inits"), leaves("side", "0.1"),
		script("date >> /kept/starts", "trap 'echo app >> /d/diary; sleep 1; exit 0' TERM"), note("echo hook >> /d/diary; until [ -e /d/go ]; do sleep 0.1; done")))
}

// TestShutdown: pods get their grace in order while logind waits, critical ones
// last; after the boot all are back with what they had.
func TestShutdown(t *testing.T) {
	h, login := hostWithLogind(t, "shutdown: {gracePeriod: 30s, gracePeriodCriticalPods: 10s}\n")
	h.Start()
	login.AwaitLocks(1)
	dir := folder(t, h, "writers")
	touch(t, dir, "ready")
	mount := fmt.Sprintf("volumes:\n- {name: d, hostPath: {path: %s}}\n", dir)
	h.Write("writers.yaml", strings.Replace(writers(dir), "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 20\n", 1))
	h.Write("dns.yaml", strings.Replace(simple("dns", leaves("dns", "0.1"), mount+"priorityClassName: system-node-critical\n", "volumeMounts: [{name: d, mountPath: /d}]\n"),
		"terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 20\n", 1))
	h.Write("once.yaml", simple("once", script("trap 'exit 0' TERM"), "restartPolicy: Never\n", ""))
	before := map[string]corev1.Pod{}
	for _, name := range []string{"writers", "dns", "once"} {
		before[name] = h.WaitRunning("default/"+name, patience)
	}

	login.Prepare(true)
	if got := diary(h, dir, 1); got[0] != "hook" {
		t.Errorf("first came %s, want the preStop hook", got[0])
	}
	// Meanwhile the app may well answer, and its probe says so.
	if p, err := h.Pod("default/writers"); err != nil || !p.Status.ContainerStatuses[0].Ready || p.Status.Reason != "NodeShutdown" {
		t.Errorf("while its hook runs the pod is %+v, %v, want it ready and the shutdown told", p.Status, err)
	}
	if len(login.Locks()) != 1 {
		t.Error("the shutdown went on while pods were stopped")
	}
	if out, err := h.CLI("status"); err != nil || !strings.Contains(out, "they are stopped: the server shuts down") {
		t.Errorf("status says %q, %v", out, err)
	}
	touch(t, dir, "go")
	login.AwaitLocks(0)
	if got := diary(h, dir, 4); !slices.Equal(got, []string{"hook", "app", "side", "dns"}) {
		t.Errorf("stopped were %v, want hook, app, side, and the critical pod last", got)
	}
	for name, p := range before {
		if err := emptyCgroup(containerCgroup(h, p, "app")); err != nil {
			t.Errorf("after the shutdown, of %s: %v", name, err)
		}
	}
	login.SetState("stopping")
	h.Stop()

	login.Prepare(false)
	login.SetState("running")
	h.PowerCut()
	h.Start()
	for name, old := range before {
		p := h.WaitRunning("default/"+name, patience)
		c := p.Status.ContainerStatuses[0]
		if p.UID != old.UID || c.RestartCount != 1 || c.LastTerminationState.Terminated == nil || c.LastTerminationState.Terminated.ExitCode != 0 {
			t.Errorf("%s is back as %s, %+v, want the pod of before, restarted once after it ended well", name, p.UID, c)
		}
	}
	if starts := lines(t, h, "writers", "/kept/starts"); starts != 2 {
		t.Errorf("the emptyDir volume tells of %d starts, want 2", starts)
	}
	if inits := lines(t, h, "writers", "/d/inits"); inits != 2 {
		t.Errorf("the init container ran %d times, want once in each boot", inits)
	}
	h.Stop()
}

// TestCancelledShutdown: what was stopped starts again at once in the sandbox
// that it had, and the next shutdown waits again.
func TestCancelledShutdown(t *testing.T) {
	h, login := hostWithLogind(t, "shutdown: {gracePeriod: 30s}\n")
	h.Start()
	login.AwaitLocks(1)
	dir := folder(t, h, "writers")
	touch(t, dir, "ready")
	touch(t, dir, "go")
	h.Write("writers.yaml", strings.Replace(writers(dir), "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 20\n", 1))
	old := h.WaitRunning("default/writers", patience)
	for round := range 2 {
		login.Prepare(true)
		login.AwaitLocks(0)
		if err := emptyCgroup(containerCgroup(h, old, "app")); err != nil {
			t.Errorf("after shutdown %d: %v", round, err)
		}
		// podstead may be restarted meanwhile, and starts nothing.
		h.Kill9()
		h.Start()
		h.Write("late.yaml", simple("late", script(), "", ""))
		h.WaitPod("default/late", waitKernel, func(p corev1.Pod) error {
			if p.Status.Reason != "NodeShutdown" || p.Status.ContainerStatuses[0].State.Running != nil {
				return fmt.Errorf("%s, %+v, want it held back", p.Status.Reason, p.Status.ContainerStatuses)
			}
			return nil
		})
		cancelled := time.Now()
		login.Prepare(false)
		p := h.WaitRunning("default/writers", patience)
		h.WaitRunning("default/late", patience)
		within(t, "the return of pods after a cancelled shutdown", time.Since(cancelled), 0, 10*time.Second+slack)
		if c := p.Status.ContainerStatuses[0]; p.UID != old.UID || int(c.RestartCount) != round+1 {
			t.Errorf("it is back as %s, %+v, want the pod of before, restarted %d times", p.UID, c, round+1)
		}
		login.AwaitLocks(1)
		h.Remove("late.yaml")
		h.WaitGone("default/late", waitKernel)
		old = p
	}
	if inits := lines(t, h, "writers", "/d/inits"); inits != 1 {
		t.Errorf("the init container ran %d times, want once in one boot", inits)
	}
	h.Stop()
	login.AwaitLocks(0)
}

// TestStopJob: without the inhibitor pods are stopped when systemd stops
// podstead for a shutdown, and not when it stops podstead alone.
func TestStopJob(t *testing.T) {
	h, login := hostWithLogind(t, "shutdown: {inhibitor: false, gracePeriod: 4s, gracePeriodCriticalPods: 1s}\n")
	h.Start()
	p := runs(h, "stays", strings.Replace(simple("stays", script("trap '' TERM", "while :; do sleep 1; done"), "", ""),
		"terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 600\n", 1))
	at := containerCgroup(h, p, "app")
	if locks := login.Locks(); len(locks) != 0 {
		t.Errorf("locks %+v although the inhibitor is switched off", locks)
	}
	h.Stop()
	if err := emptyCgroup(at); err == nil {
		t.Fatal("podstead was stopped alone, and took its pod along")
	}
	h.Start()
	if now := h.WaitRunning("default/stays", patience); containerID(now) != containerID(p) {
		t.Errorf("container %s became %s", containerID(p), containerID(now))
	}

	login.SetState("stopping")
	begun := time.Now()
	h.Stop()
	within(t, "the end of a stubborn pod with 600 s of grace, of which the shutdown leaves 3 s", time.Since(begun), 3*time.Second, 7*time.Second+slack)
	if err := emptyCgroup(at); err != nil {
		t.Errorf("the server shut down and podstead left its pod running: %v", err)
	}
	login.SetState("running")
	h.Start()
	back := h.WaitRunning("default/stays", patience)
	if c := back.Status.ContainerStatuses[0]; c.RestartCount != 1 || back.UID != p.UID {
		t.Errorf("it is back as %s, %+v, want %s, restarted once", back.UID, c, p.UID)
	}
	h.Stop()
}

// TestShutdownWithoutWaiting: with a grace period of 0 pods are left to the end.
func TestShutdownWithoutWaiting(t *testing.T) {
	h, login := hostWithLogind(t, "shutdown: {gracePeriod: 0s}\n")
	h.Start()
	login.AwaitLocks(1)
	p := runs(h, "stays", simple("stays", script(), "", ""))
	login.Prepare(true)
	login.AwaitLocks(0)
	login.SetState("stopping")
	h.Stop()
	if err := emptyCgroup(containerCgroup(h, p, "app")); err == nil {
		t.Error("the pod was stopped")
	}
}

// TestLogindThatWaitsTooShort is told, with what to do.
func TestLogindThatWaitsTooShort(t *testing.T) {
	h, login := hostWithLogind(t, "shutdown: {gracePeriod: 2m}\n")
	h.Start()
	login.AwaitLocks(1)
	h.Eventually(waitKernel, func() error {
		out, err := h.CLI("status")
		if err == nil && !strings.Contains(out, "logind lets a shutdown wait for 1m15s at most, shutdown.gracePeriod is 2m0s") {
			err = fmt.Errorf("status does not warn: %s", out)
		}
		return err
	})
	h.Stop()
}

// lines counts the lines of a file in the app container of a pod.
func lines(t *testing.T, h *harness.Host, name, file string) int {
	t.Helper()
	out, err := h.CLI("exec", name, "-c", "app", "--", "/bin/busybox", "cat", file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(out, "\n")
}

// TestContainerdOfItsUnit: podstead starts none beside it, containers outlive
// its restarts, and it outlives podstead.
func TestContainerdOfItsUnit(t *testing.T) {
	h := harness.New(t, harness.Options{})
	addShell(t, h)
	// At first podstead supervises its containerd itself, as without systemd.
	h.Start()
	old := runs(h, "stays", simple("stays", script(), "", ""))
	h.Stop()

	before := h.ContainerdPID()
	h.AsUnit(service)
	h.Start() // there is just one containerd, or it is not ready
	h.Eventually(waitKernel, func() error {
		if now := h.ContainerdPID(); now == 0 || now == before {
			return fmt.Errorf("containerd is process %d, want another than %d, which no unit supervises", now, before)
		}
		return nil
	})
	if p := h.WaitRunning("default/stays", patience); containerID(p) != containerID(old) {
		t.Errorf("while the unit took containerd over, container %s became %s", containerID(old), containerID(p))
	}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		h.SignalContainerd(signal)
		h.WaitReady(patience)
	}
	h.Kill9()
	if !h.ContainerdRuns() {
		t.Error("containerd ended with podstead")
	}
	h.Start()
	// All capabilities of the host, though podstead has few of them itself.
	h.Write("mighty.yaml", simple("mighty", script("grep CapEff /proc/self/status"), "", "securityContext: {privileged: true}\n"))
	h.WaitRunning("default/mighty", patience)
	status, err := os.ReadFile("/proc/1/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "CapBnd:\t")
	all, _, _ := strings.Cut(rest, "\n")
	says(t, h, "mighty", "CapEff:\t"+all)
	if p := h.WaitRunning("default/stays", patience); containerID(p) != containerID(old) || p.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("container %s became %s", containerID(old), containerID(p))
	}
	h.Stop()
	if !h.ContainerdRuns() {
		t.Error("containerd ended with podstead")
	}
}

// TestReloadTellsTheOutcome: the command that the unit reloads by ends when the
// reload is over, and fails when that does.
func TestReloadTellsTheOutcome(t *testing.T) {
	h := newShellHost(t)
	p := runs(h, "stays", simple("stays", script(), "", ""))
	file := filepath.Join(h.Dir, "config.yaml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(more string) {
		t.Helper()
		if err := os.WriteFile(file, append(slices.Clone(good), more...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("onExit: stop\n")
	out, err := h.CLI("reload", "--config", file)
	if err == nil || out != "" || !strings.Contains(err.Error(), `onExit: invalid (got "stop", want keep or drain)`) {
		t.Errorf("reload of what can't be used: %q, %v", out, err)
	}
	write("pidsLimit: 77\n")
	if out, err := h.CLI("reload", "--config", file); err != nil || !strings.Contains(out, "needs a restart of podstead: pidsLimit") {
		t.Errorf("reload of what needs a restart: %q, %v", out, err)
	}
	write("")
	if out, err := h.CLI("reload", "--config", file); err != nil || out != file+" is in force\n" {
		t.Errorf("reload of what is in force: %q, %v", out, err)
	}
	if now := h.WaitRunning("default/stays", waitKernel); containerID(now) != containerID(p) {
		t.Errorf("container %s became %s", containerID(p), containerID(now))
	}
	h.Stop()
	if _, err := h.CLI("reload", "--socket", h.Socket); err == nil || !strings.Contains(err.Error(), "podstead is not running") {
		t.Errorf("reload of none: %v", err)
	}
}
