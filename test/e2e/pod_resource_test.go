package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

var resourceRows = []row{
	{"Row49_QoSTiersAndLimits", tiers},
	{"Row51_OOMScoreAdj", oomScores},
	{"Row52_OOMKilled20Of20", oomKilled},
	{"Row53_PIDsLimit", pidsLimit},
	{"Resize_InPlace", resizeInPlace},
	{"Resize_ShrinkBelowUseIsHeldAndShown", resizeHeld},
}

func tiers(t *testing.T, h *harness.Host) {
	weights := map[string]string{"250m": "256", "100m": "102"}
	if unifiedOnly() {
		weights = map[string]string{"250m": "", "100m": ""}
	}
	cases := []struct {
		name, resources    string
		class              corev1.PodQOSClass
		memory, cpu, share string
		podMemory, podCPU  string
	}{
		{"qos-guaranteed", "{limits: {cpu: 250m, memory: 32Mi}}", corev1.PodQOSGuaranteed, "33554432", "25000", weights["250m"], "33554432", "25000"},
		{"qos-burstable", "{requests: {cpu: 100m, memory: 16Mi}, limits: {memory: 48Mi}}", corev1.PodQOSBurstable, "50331648", "max", weights["100m"], "50331648", "max"},
		{"qos-besteffort", "{}", corev1.PodQOSBestEffort, "max", "max", "", "max", "max"},
	}
	for _, c := range cases {
		h.Write(c.name+".yaml", simple(c.name, script(), "", "resources: "+c.resources+"\n"))
	}
	for _, c := range cases {
		p := h.WaitRunning("default/"+c.name, waitKernel)
		if p.Status.QOSClass != c.class {
			t.Errorf("%s is %s, want %s", c.name, p.Status.QOSClass, c.class)
		}
		container := containerCgroup(h, p, "app")
		memoryLimit.wait(h, container, c.memory)
		cpuQuota.wait(h, container, c.cpu)
		if c.share != "" {
			cpuShares.wait(h, container, c.share)
		}
		memoryLimit.wait(h, cgroupOf(h, p), c.podMemory)
		cpuQuota.wait(h, cgroupOf(h, p), c.podCPU)
		processes(t, container)

		h.Remove(c.name + ".yaml")
		h.WaitGone("default/"+c.name, waitKernel)
		if _, err := memoryLimit.read(cgroupOf(h, p)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the cgroup of the removed pod %s: %v, want it gone", c.name, err)
		}
	}
}

// scoreFloor is the lowest oom_score_adj that the kernel lets us give.
func scoreFloor(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	file := fmt.Sprintf("/proc/%d/oom_score_adj", cmd.Process.Pid)
	own := score(t, cmd.Process.Pid)
	err := os.WriteFile(file, []byte("-1000"), 0)
	if err == nil {
		return -1000
	}
	if !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EPERM) {
		t.Fatal(err)
	}
	return own
}

func score(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func oomScores(t *testing.T, h *harness.Host) {
	floor := scoreFloor(t)
	cases := []struct {
		name, resources string
		least, most     int
	}{
		{"oom-guaranteed", "{limits: {cpu: 10m, memory: 32Mi}}", -997, -997},
		{"oom-burstable", "{requests: {memory: 64Mi}}", 2, 999},
		{"oom-besteffort", "{}", 1000, 1000},
	}
	for _, c := range cases {
		p := runs(h, c.name, simple(c.name, script(), "shareProcessNamespace: true\n", "resources: "+c.resources+"\n"))
		of := slices.Min(processes(t, containerCgroup(h, p, "app")))
		if got := score(t, of); got < max(c.least, floor) || got > max(c.most, floor) {
			t.Errorf("%s has oom_score_adj %d, want %d to %d, but at least %d", c.name, got, c.least, c.most, floor)
		}
	}
	// What keeps containers goes after all of them.
	for name, want := range map[string]int{"podstead": -999, "containerd": -999, "containerd-shim-runc-v2": -998, "podstead-logger": -998} {
		pids := h.Processes(name)
		if len(pids) == 0 {
			t.Errorf("no %s runs", name)
		}
		for _, pid := range pids {
			// containerd gives its shims one more than it has itself.
			if got := score(t, pid); got != want && (floor <= -999 || got < floor || got > floor+1) {
				t.Errorf("%s (%d) has oom_score_adj %d, want %d, or as low as the kernel gives: %d", name, pid, got, want, floor)
			}
		}
	}
	if floor <= -999 {
		return
	}
	out, err := h.CLI("status")
	if n := strings.Count(out, "oom_score_adj"); err != nil || n != 1 {
		t.Errorf("the kernel gives no oom_score_adj below %d, and status says so %d times, want once, %v:\n%s", floor, n, err, out)
	}
}

func oomKilled(t *testing.T, h *harness.Host) {
	const pods = 20
	var all strings.Builder
	for i := range pods {
		fmt.Fprintf(&all, "---\n%s", strings.ReplaceAll(manifest(fmt.Sprintf("oom-%d", i), `  restartPolicy: Never
  containers:
  - name: app
    image: IMAGE
    args: [-alloc, "200000000"]
    resources: {limits: {memory: 24Mi}}
`), "IMAGE", image))
	}
	h.Write("oom.yaml", all.String())
	for i := range pods {
		if end := last(ended(h, fmt.Sprintf("oom-%d", i))); end.Reason != "OOMKilled" || end.ExitCode != 137 {
			t.Errorf("pod %d: %+v, want OOMKilled, exit code 137", i, end)
		}
	}
}

func pidsLimit(t *testing.T, h *harness.Host) {
	const fork = "i=0; while [ $i -lt 250 ]; do sleep 1000 & i=$((i+1)); done; echo all made"
	p := runs(h, "pids-held", simple("pids-held", script(), "", ""))
	maxPIDs.wait(h, cgroupOf(h, p), "200")
	h.Write("pids.yaml", simple("pids", once(fork), "restartPolicy: Never\n", "terminationMessagePolicy: FallbackToLogsOnError\n"))
	end := last(ended(h, "pids"))
	if end.ExitCode == 0 || !strings.Contains(end.Message, "can't fork") {
		t.Errorf("%+v, want the 201st process to be refused", end)
	}
}

// limited is a Guaranteed pod.
func limited(name, cpu, memory string) string {
	return simple(name, script(), "", fmt.Sprintf("resources: {limits: {cpu: %s, memory: %s}}\n", cpu, memory))
}

func resizeInPlace(t *testing.T, h *harness.Host) {
	p := runs(h, "resize", limited("resize", "200m", "64Mi"))
	at := containerCgroup(h, p, "app")
	for _, to := range []struct{ cpu, memory, quota, bytes string }{
		{"400m", "96Mi", "40000", "100663296"},
		{"100m", "48Mi", "10000", "50331648"},
	} {
		h.Write("resize.yaml", limited("resize", to.cpu, to.memory))
		for _, cgroup := range []string{at, cgroupOf(h, p)} {
			cpuQuota.wait(h, cgroup, to.quota)
			memoryLimit.wait(h, cgroup, to.bytes)
		}
		now := h.WaitPod("default/resize", waitKernel, func(p corev1.Pod) error {
			if r := p.Status.ContainerStatuses[0].Resources; r == nil || r.Limits.Memory().String() != to.memory {
				return fmt.Errorf("status shows %+v, want memory %s", r, to.memory)
			}
			return nil
		})
		if containerID(now) != containerID(p) || now.Status.ContainerStatuses[0].RestartCount != 0 {
			t.Errorf("resized, container %s became %+v", containerID(p), now.Status.ContainerStatuses[0])
		}
	}
	// The next run starts with the new limits.
	killContainer(t, h, p, "app")
	p = h.WaitPod("default/resize", waitKernel, func(p corev1.Pod) error {
		if c := p.Status.ContainerStatuses[0]; c.RestartCount != 1 || c.State.Running == nil {
			return fmt.Errorf("%+v, want it restarted once", c)
		}
		return nil
	})
	memoryLimit.wait(h, containerCgroup(h, p, "app"), "50331648")
}

func resizeHeld(t *testing.T, h *harness.Host) {
	p := runs(h, "held", limited("held", "200m", "96Mi"))
	at := containerCgroup(h, p, "app")
	if _, err := h.CLI("exec", "held", "--", "/bin/busybox", "dd", "if=/dev/zero", "of=/dev/shm/use", "bs=1M", "count=50"); err != nil {
		t.Fatal(err)
	}
	h.Write("held.yaml", limited("held", "300m", "40Mi"))
	h.Eventually(waitKernel, func() error {
		out, err := h.CLI("describe", "pod", "held")
		if err == nil && !strings.Contains(out, "memory limit 40Mi is below the") {
			err = fmt.Errorf("describe does not say that the shrink is held:\n%s", out)
		}
		return err
	})
	if got, err := memoryLimit.read(at); err != nil || got != "100663296" {
		t.Errorf("while the shrink is held the limit is %s, %v, want the old one", got, err)
	}
	now, err := h.Pod("default/held")
	if err != nil || containerID(now) != containerID(p) || now.Status.ContainerStatuses[0].State.Running == nil {
		t.Fatalf("while the shrink is held: %+v, %v, want the same container running", now.Status, err)
	}
	if r := now.Status.ContainerStatuses[0].Resources; r.Limits.Memory().String() != "96Mi" {
		t.Errorf("status shows memory %s, want what it really has, 96Mi", r.Limits.Memory())
	}
	if _, err := h.CLI("exec", "held", "--", "/bin/busybox", "rm", "/dev/shm/use"); err != nil {
		t.Fatal(err)
	}
	h.Eventually(time.Minute, func() error {
		got, err := memoryLimit.read(at)
		if err == nil && got != "41943040" {
			err = fmt.Errorf("there is room, and the limit is %s, want 40Mi", got)
		}
		return err
	})
}
