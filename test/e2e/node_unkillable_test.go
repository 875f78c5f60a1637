package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
)

// unkillable is a way to keep a container's process from dying.
type unkillable struct {
	name string
	// hold keeps the first process of the container "app" of a pod, whose
	// manifest was written, and lets it go.
	hold func(t *testing.T, h *harness.Host, s *subject) (release func())
}

var unkillables = []unkillable{
	{"FrozenPod", freezePod},
	{"FrozenFilesystem", freezeFilesystem},
}

// setFrozen freezes or thaws a cgroup.
func setFrozen(t *testing.T, cgroup string, frozen bool) {
	t.Helper()
	path, value := filepath.Join("/sys/fs/cgroup/freezer", cgroup, "freezer.state"), map[bool]string{true: "FROZEN", false: "THAWED"}[frozen]
	if unifiedOnly() {
		path, value = filepath.Join("/sys/fs/cgroup", cgroup, "cgroup.freeze"), map[bool]string{true: "1", false: "0"}[frozen]
	}
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil && (frozen || !os.IsNotExist(err)) {
		t.Errorf("%s: %v", path, err)
	}
}

// freezePod freezes the cgroup of the whole pod, which nobody may thaw but who
// froze it.
func freezePod(t *testing.T, h *harness.Host, s *subject) func() {
	cgroup := cgroupOf(h, s.run("1"))
	setFrozen(t, cgroup, true)
	release := func() { setFrozen(t, cgroup, false) }
	t.Cleanup(release)
	return release
}

// freezeFilesystem stops the file system to which the container writes all the
// time.
func freezeFilesystem(t *testing.T, h *harness.Host, s *subject) func() {
	disk := filepath.Join(h.Data, "frozen")
	h.Mount("data/frozen", 16, 0)
	s.Spec.Containers[0].Args = append(s.Spec.Containers[0].Args, "-scribble", "/disk/file")
	s.hostPath("disk", disk, "/disk")
	p := s.run("1")
	if out, err := exec.Command("fsfreeze", "--freeze", disk).CombinedOutput(); err != nil {
		t.Fatalf("freeze %s: %v: %s", disk, err, out)
	}
	thawed := false
	release := func() {
		if thawed {
			return
		}
		if out, err := exec.Command("fsfreeze", "--unfreeze", disk).CombinedOutput(); err != nil {
			t.Errorf("thaw %s: %v: %s", disk, err, out)
		}
		thawed = true
	}
	t.Cleanup(release)
	pid := slices.Min(processes(t, containerCgroup(h, p, "app")))
	h.Eventually(patience, func() error {
		for _, task := range threads(pid) {
			if task == "D" {
				return nil
			}
		}
		return fmt.Errorf("no thread of %d waits for the disk: %v", pid, threads(pid))
	})
	return release
}

// threads are the states of a process's threads.
func threads(pid int) (states []string) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		states = append(states, strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))[0])
	}
	return states
}

// TestF21_Unkillable: a process that does not die is named; nothing takes its
// place, nobody else waits for it, a restart of podstead forgets nothing, and
// when it lets go it is gone soon.
func TestF21_Unkillable(t *testing.T) {
	for _, u := range unkillables {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 1m}\n"})
			held := newSubject(t, h, "held", witness("app"))
			held.grace(1)
			beside := newSubject(t, h, "beside", witness("app"))
			release := u.hold(t, h, held)
			held.Spec.Hostname = "other" // which takes a new pod
			held.write("2")
			told(h, []string{"container app does not die after SIGKILL (UnkillableProcess)"}, "describe", "pod", held.Name)
			told(h, []string{"Terminating"}, "get", "pod", held.Name)

			// Others come, go and are restarted.
			beside.run("1")
			beside.remove()
			beside.run("2")
			h.Kill9()
			h.SignalContainerd(syscall.SIGKILL)
			h.Start()
			told(h, []string{"container app does not die after SIGKILL (UnkillableProcess)"}, "describe", "pod", held.Name)
			if got := generations(held.lives("app")); got != "1" {
				t.Errorf("beside a process that does not die ran generations %q", got)
			}
			if n := len(beside.lives("app")); n != 2 {
				t.Errorf("the pod beside it had %d runs, want 2", n)
			}

			release()
			from := time.Now()
			held.waitGeneration("app", "2")
			within(t, "from the thaw to the new version", time.Since(from), 0, 5*time.Second+slack)
			held.remove()
			beside.remove()
		})
	}
}

// TestF21_StoppedFrozenAndDeaf: a process that is stopped, whose own cgroup is
// frozen, or that does not listen, dies when its grace is over.
func TestF21_StoppedFrozenAndDeaf(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{})
	stopped := newSubject(t, h, "stopped", witness("app"))
	frozen := newSubject(t, h, "frozen", witness("app"))
	deaf := newSubject(t, h, "deaf", witness("app", "-ignore-term"))
	all := []*subject{stopped, frozen, deaf}
	cgroups := map[*subject]string{}
	for _, s := range all {
		s.grace(2)
		cgroups[s] = containerCgroup(h, s.run("1"), "app")
	}
	for _, pid := range processes(t, cgroups[stopped]) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	setFrozen(t, cgroups[frozen], true)
	t.Cleanup(func() { setFrozen(t, cgroups[frozen], false) })
	from := time.Now()
	for _, s := range all {
		h.Remove(s.file())
	}
	for _, s := range all {
		h.WaitGone(s.key(), patience)
	}
	within(t, "their end, of 2 s grace", time.Since(from), 2*time.Second, 4*time.Second+slack)
}
