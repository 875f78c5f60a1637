package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/leaks"
)

// unifiedOnly tells whether cgroup v2 is the only one here.
func unifiedOnly() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

// limit names a setting of the kernel in both versions of cgroups.
type limit struct{ controller, v1, v2 string }

var (
	memoryLimit = limit{"memory", "memory.limit_in_bytes", "memory.max"}
	cpuQuota    = limit{"cpu", "cpu.cfs_quota_us", "cpu.max"}
	cpuShares   = limit{"cpu", "cpu.shares", "cpu.weight"}
	maxPIDs     = limit{"pids", "pids.max", "pids.max"}
)

// read returns the first word of a setting of a cgroup. No limit is "max", as
// cgroup v2 says it.
func (l limit) read(cgroup string) (string, error) {
	path := filepath.Join("/sys/fs/cgroup", l.controller, cgroup, l.v1)
	if unifiedOnly() {
		path = filepath.Join("/sys/fs/cgroup", cgroup, l.v2)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	word := strings.Fields(string(text))[0]
	if word == "-1" || word == "9223372036854771712" {
		word = "max"
	}
	return word, nil
}

// current reads how many tasks a cgroup has, with those below it.
func (l limit) current(cgroup string) (int, error) {
	path := filepath.Join("/sys/fs/cgroup", l.controller, cgroup, "pids.current")
	if unifiedOnly() {
		path = filepath.Join("/sys/fs/cgroup", cgroup, "pids.current")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// wait waits until the kernel has a limit.
func (l limit) wait(h *harness.Host, cgroup, want string) {
	h.Eventually(waitKernel, func() error {
		got, err := l.read(cgroup)
		if err == nil && got != want {
			err = fmt.Errorf("%s of %s is %s, want %s", l.v2, cgroup, got, want)
		}
		return err
	})
}

// cgroupOf is where a pod's cgroup has to be by its QoS class.
func cgroupOf(h *harness.Host, p corev1.Pod) string {
	tier := map[corev1.PodQOSClass]string{corev1.PodQOSBurstable: "burstable", corev1.PodQOSBestEffort: "besteffort"}
	return filepath.Join(h.CgroupRoot, tier[p.Status.QOSClass], "pod"+string(p.UID))
}

// containerCgroup is where a running container's cgroup has to be.
func containerCgroup(h *harness.Host, p corev1.Pod, name string) string {
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == name {
			return filepath.Join(cgroupOf(h, p), strings.TrimPrefix(c.ContainerID, "containerd://"))
		}
	}
	return ""
}

// processes lists those in a cgroup, by the hierarchy that every kernel has.
func processes(t *testing.T, cgroup string) []int {
	t.Helper()
	if cgroup == "" {
		t.Fatal("the container does not run")
	}
	path := filepath.Join("/sys/fs/cgroup", "pids", cgroup, "cgroup.procs")
	if unifiedOnly() {
		path = filepath.Join("/sys/fs/cgroup", cgroup, "cgroup.procs")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for word := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		t.Fatalf("cgroup %s has no process", cgroup)
	}
	return pids
}

// killContainer sends SIGKILL to the first process of a container.
func killContainer(t *testing.T, h *harness.Host, p corev1.Pod, name string) {
	t.Helper()
	if err := syscall.Kill(slices.Min(processes(t, containerCgroup(h, p, name))), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// containersOf lists what containerd has of the container "app" of a pod.
func containersOf(t *testing.T, h *harness.Host, p corev1.Pod) ([]string, error) {
	t.Helper()
	s, err := leaks.Take(t.Context(), leaks.Config{CgroupRoot: h.CgroupRoot, Ours: h.Dir, Containerd: h.Containerd, Namespace: "podstead"})
	if err != nil {
		return nil, err
	}
	var found []string
	for attempt := range 100 {
		if id := pod.ContainerID(p.UID, "app", attempt); slices.Contains(s["container"], id) {
			found = append(found, id)
		}
	}
	return found, nil
}
