package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/checker"
	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/leaks"
	"github.com/podstead/podstead/test/record"
)

// shimOf is the process above a pod's containers: their shim.
func shimOf(t *testing.T, h *harness.Host, p corev1.Pod, container string) int {
	t.Helper()
	first := slices.Min(processes(t, containerCgroup(h, p, container)))
	all, err := leaks.Processes()
	if err != nil {
		t.Fatal(err)
	}
	parents := map[int]leaks.Process{}
	for _, p := range all {
		parents[p.PID] = p
	}
	shim := parents[parents[first].Parent]
	if filepath.Base(shim.Command[0]) != "containerd-shim-runc-v2" {
		t.Fatalf("process %d of %s has the parent %d, %q, want a shim", first, container, shim.PID, shim.Command)
	}
	return shim.PID
}

func kill(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("send %v to %d: %v", s, pid, err)
	}
}

// runtimeFault is something that is done below podstead.
type runtimeFault struct {
	name string
	do   func(t *testing.T, h *harness.Host, p corev1.Pod)
	// hit are the containers that are restarted by it, each once.
	hit []string
}

var runtimeFaults = []runtimeFault{
	{"FirstProcess", func(t *testing.T, h *harness.Host, p corev1.Pod) {
		kill(t, slices.Min(processes(t, containerCgroup(h, p, "app"))), syscall.SIGKILL)
	}, []string{"app"}},
	{"Shim", func(t *testing.T, h *harness.Host, p corev1.Pod) {
		kill(t, shimOf(t, h, p, "app"), syscall.SIGKILL)
	}, []string{"app", "other"}},
	{"ShimAndContainerd", func(t *testing.T, h *harness.Host, p corev1.Pod) {
		shim := shimOf(t, h, p, "app")
		h.SignalContainerd(syscall.SIGKILL)
		kill(t, shim, syscall.SIGKILL)
	}, []string{"app", "other"}},
	{"ShimContainerdAndPodstead", func(t *testing.T, h *harness.Host, p corev1.Pod) {
		shim := shimOf(t, h, p, "app")
		h.Kill9()
		h.SignalContainerd(syscall.SIGKILL)
		kill(t, shim, syscall.SIGKILL)
		h.Start()
	}, []string{"app", "other"}},
	{"ShimWhilePodsteadIsDown", func(t *testing.T, h *harness.Host, p corev1.Pod) {
		shim := shimOf(t, h, p, "app")
		h.Kill9()
		kill(t, shim, syscall.SIGKILL)
		h.Start()
	}, []string{"app", "other"}},
}

// TestF5_Shims: whatever dies below podstead, the containers that it held are
// restarted, each once and never beside what is left of it, and no other.
func TestF5_Shims(t *testing.T) {
	for _, f := range runtimeFaults {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/shared=%t", f.name, shared), func(t *testing.T) {
				t.Parallel()
				h := newHost(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 1m}\n"})
				before := h.Settled()
				pair := newSubject(t, h, "pair", witness("app"), witness("other"))
				pair.Spec.ShareProcessNamespace = &shared
				beside := newSubject(t, h, "beside", witness("app"))
				all := []*subject{pair, beside}
				for _, s := range all {
					s.want("1")
					s.run("1")
				}
				p := h.WaitRunning(pair.key(), patience)
				from := record.Now()
				f.do(t, h, p)
				for _, name := range f.hit {
					pair.waitLives(name, 2)
				}
				now := h.WaitRunning(pair.key(), patience)
				for _, name := range f.hit {
					h.Fault(f.name, checker.ID(pair.key(), name), from)
				}
				for _, c := range now.Status.ContainerStatuses {
					want := int32(0)
					if slices.Contains(f.hit, c.Name) {
						want = 1
					}
					if c.RestartCount != want {
						t.Errorf("%s was restarted %d times, want %d", c.Name, c.RestartCount, want)
					}
					if end := c.LastTerminationState.Terminated; want > 0 && (end == nil || end.ExitCode == 0) {
						t.Errorf("%s is shown to have ended as %+v, want an exit code other than 0", c.Name, end)
					}
				}
				if now.UID != p.UID {
					t.Errorf("pod %s became %s", p.UID, now.UID)
				}
				h.Judge(bounds)
				for _, s := range all {
					s.remove()
				}
				nothingLeft(h, before)
			})
		}
	}
}

// TestF5_PauseIsKilled: the process that holds a shared process namespace is
// needed by every container of its pod, and by no other.
func TestF5_PauseIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 1m}\n"})
	before := h.Settled()
	shared := true
	pair := newSubject(t, h, "pair", witness("app"), witness("other"))
	pair.Spec.ShareProcessNamespace = &shared
	beside := newSubject(t, h, "beside", witness("app"))
	first := pair.run("1")
	beside.run("1")
	kill(t, pauseOf(t, h, first), syscall.SIGKILL)
	pair.waitLives("app", 2)
	pair.waitLives("other", 2)
	now := h.WaitRunning(pair.key(), patience)
	if pid := pauseOf(t, h, now); !alive(pid) {
		t.Errorf("pause %d does not live", pid)
	}
	for _, name := range []string{"app", "other"} {
		if n := len(pair.lives(name)); n != 2 {
			t.Errorf("%s had %d runs, want 2", name, n)
		}
	}
	if n := len(beside.lives("app")); n != 1 {
		t.Errorf("the pod beside it had %d runs", n)
	}
	pair.remove()
	beside.remove()
	nothingLeft(h, before)
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// pauseOf is the first process of a pod's process namespace.
func pauseOf(t *testing.T, h *harness.Host, p corev1.Pod) int {
	t.Helper()
	mine, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", slices.Min(processes(t, containerCgroup(h, p, "app")))))
	if err != nil {
		t.Fatal(err)
	}
	all, err := leaks.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", p.PID)); err == nil && ns == mine && filepath.Base(p.Command[0]) != "witness" {
			return p.PID
		}
	}
	t.Fatalf("no pause in namespace %s", mine)
	return 0
}

// TestF5_StoppedShim: a shim that does not answer holds up its own pod only.
func TestF5_StoppedShim(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{})
	held := newSubject(t, h, "held", witness("app"))
	beside := newSubject(t, h, "beside", witness("app"))
	held.grace(1)
	shim := shimOf(t, h, held.run("1"), "app")
	kill(t, shim, syscall.SIGSTOP)
	t.Cleanup(func() { _ = syscall.Kill(shim, syscall.SIGCONT) })
	h.Remove(held.file())
	beside.run("1")
	beside.write("2")
	beside.waitGeneration("app", "2")
	beside.remove()
	h.Kill9()
	h.Start()
	beside.run("3")
	if n := len(held.lives("app")); n != 1 {
		t.Errorf("beside a shim that does not answer there were %d runs, want 1", n)
	}
	kill(t, shim, syscall.SIGCONT)
	h.WaitGone(held.key(), patience)
	beside.remove()
}
