package e2e

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

// requesting is a pod that requests CPU and memory.
func requesting(name, cpu, memory string) string {
	return simple(name, script("echo up"), "", fmt.Sprintf("resources: {requests: {cpu: %s, memory: %s}}\n", cpu, memory))
}

// TestAdmission: pods request no more than the server has less what is
// reserved. One that does not fit waits, says why with numbers, and starts when
// there is room.
func TestAdmission(t *testing.T) {
	t.Parallel()
	// One CPU is for pods, however many there are.
	reserved := fmt.Sprintf("%d", runtime.NumCPU()-1)
	h := harness.New(t, harness.Options{Config: "reserved: {cpu: " + reserved + ", memory: 512Mi, pids: 2000}\n"})
	addShell(t, h)
	h.Start()
	first := runs(h, "first", requesting("first", "600m", "64Mi"))
	runs(h, "small", requesting("small", "100m", "32Mi"))
	runs(h, "none", simple("none", script("echo up"), "", ""))

	// It waits, and says so everywhere.
	h.Write("second.yaml", requesting("second", "500m", "64Mi"))
	waiting(h, "second", "InsufficientCPU", "pod default/second requests 500m of cpu, and of the 1 that pods may request 300m is free")
	told(h, []string{"second", "InsufficientCPU"}, "get", "pods")
	told(h, []string{"it is held by default/first (600m), default/small (100m); it starts when there is room"}, "describe", "pod", "second")
	told(h, []string{"Warning", "InsufficientCPU", "pod/second", "requests 500m of cpu"}, "events")
	told(h, []string{"cpu:     1\n", "first   Running          600m (60%)", "second  InsufficientCPU  500m (50%)", "cpu       700m (70%)"}, "describe", "node")
	told(h, []string{"1 CPUs and", reserved + " of cpu and 512Mi of memory reserved", "700m (70%) of the CPUs, 96Mi"}, "status")

	// What runs is not touched by an edit for which there is no room.
	h.Write("first.yaml", requesting("first", "950m", "64Mi"))
	told(h, []string{"requests 950m of cpu, and of the 1 that pods may request 900m is free", "the running version stays"}, "describe", "pod", "first")
	h.Write("first.yaml", requesting("first", "600m", "64Mi"))
	if p := h.WaitRunning("default/first", time.Minute); containerID(p) != containerID(first) {
		t.Errorf("an edit without room touched what ran: %s became %s", containerID(first), containerID(p))
	}

	// What lets go makes room, by an edit in place and by its end.
	h.Write("first.yaml", requesting("first", "400m", "64Mi"))
	h.WaitRunning("default/second", 30*time.Second)
	h.Write("third.yaml", requesting("third", "450m", "64Mi"))
	waiting(h, "third", "InsufficientCPU", "0 is free")
	h.Remove("second.yaml")
	h.WaitRunning("default/third", 30*time.Second)
	h.WaitGone("default/second", 30*time.Second)
	if p, err := h.Pod("default/first"); err != nil || containerID(p) != containerID(first) {
		t.Errorf("%v: the container of first was touched", err)
	}

	// What was waited for holds over a restart.
	h.Write("fourth.yaml", requesting("fourth", "200m", "64Mi"))
	waiting(h, "fourth", "InsufficientCPU", "50m is free")
	h.Kill9()
	h.Start()
	waiting(h, "fourth", "InsufficientCPU", "50m is free")
	for _, name := range []string{"first", "third", "small"} {
		if p := h.WaitRunning("default/"+name, 30*time.Second); restarts(p) != 0 {
			t.Errorf("%s was restarted", name)
		}
	}

	// All pods together can't have what is reserved.
	if got, err := memoryLimit.read(h.CgroupRoot); err != nil || got == "max" {
		t.Errorf("all pods together may use %s of memory, %v, want what is not reserved", got, err)
	}
	if got, err := maxPIDs.read(h.CgroupRoot); err != nil || got == "max" {
		t.Errorf("all pods together may have %s tasks, %v, want what is not reserved", got, err)
	}
}

func restarts(p corev1.Pod) (n int32) {
	for _, c := range p.Status.ContainerStatuses {
		n += c.RestartCount
	}
	return n
}

// TestReservedMustLeaveSomething: a server that would have nothing for pods is
// a mistake of the configuration.
func TestReservedMustLeaveSomething(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"reserved.cpu": "reserved: {cpu: 5000}\n", "reserved.memory": "reserved: {memory: 900Ti}\n", "reserved.pids": "reserved: {pids: 4194304}\n",
	} {
		h := harness.New(t, harness.Options{Config: config})
		h.StartWithoutWaiting()
		if log := h.WaitEnd(patience); !strings.Contains(log, name+": got ") || !strings.Contains(log, "want less than the ") {
			t.Errorf("%s: podstead ended with:\n%s", name, log)
		}
	}
}
