package host

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/guest"
)

const cgroupRoot = "/sys/fs/cgroup/podstead"

// cgroupOf is a pod's cgroup.
func cgroupOf(p corev1.Pod) string {
	tier := map[corev1.PodQOSClass]string{corev1.PodQOSBurstable: "burstable", corev1.PodQOSBestEffort: "besteffort"}[p.Status.QOSClass]
	return path.Join(cgroupRoot, tier, "pod"+string(p.UID))
}

// containerCgroup is that of a container of a pod.
func containerCgroup(p corev1.Pod, name string) string {
	return path.Join(cgroupOf(p), containerID(p, name))
}

// waitLimits waits until the kernel has values in files of a cgroup.
func (n *node) waitLimits(cgroup string, want map[string]string) {
	n.t.Helper()
	n.Eventually(wait, func() error {
		for file, value := range want {
			content, ok := n.Look(path.Join(cgroup, file))
			if got := strings.TrimSpace(content); !ok || got != value {
				return fmt.Errorf("%s/%s is %q, want %q", cgroup, file, got, value)
			}
		}
		return nil
	})
}

// testLimits reads the limits of each class back from the kernel.
func (n *node) testLimits() {
	const none = "max 100000"
	cases := []struct {
		name, resources string
		class           corev1.PodQOSClass
		pod, container  map[string]string
	}{
		{"guaranteed", "{limits: {cpu: 250m, memory: 32Mi}}", corev1.PodQOSGuaranteed,
			map[string]string{"cpu.max": "25000 100000", "cpu.weight": "35", "memory.max": "33554432", "pids.max": "1024"},
			map[string]string{"cpu.max": "25000 100000", "cpu.weight": "35", "memory.max": "33554432", "memory.oom.group": "1", "memory.swap.max": "0"}},
		{"burstable", "{requests: {cpu: 100m, memory: 16Mi}, limits: {memory: 48Mi}}", corev1.PodQOSBurstable,
			map[string]string{"cpu.max": none, "cpu.weight": "17", "memory.max": "50331648", "pids.max": "1024"},
			map[string]string{"cpu.max": none, "cpu.weight": "17", "memory.max": "50331648", "memory.oom.group": "1", "memory.swap.max": "0"}},
		{"besteffort", "{}", corev1.PodQOSBestEffort,
			map[string]string{"cpu.max": none, "cpu.weight": "1", "memory.max": "max", "pids.max": "1024"},
			map[string]string{"cpu.max": none, "cpu.weight": "1", "memory.max": "max", "memory.oom.group": "1", "memory.swap.max": "0"}},
	}
	for _, c := range cases {
		n.applySpec(c.name, spec{generation: "1", container: "resources: " + c.resources + "\n"})
	}
	scores := map[string][2]int{"guaranteed": {-997, -997}, "burstable": {2, 999}, "besteffort": {1000, 1000}}
	for _, c := range cases {
		p := n.WaitReady(c.name)
		if p.Status.QOSClass != c.class {
			n.t.Errorf("%s is %s, want %s", c.name, p.Status.QOSClass, c.class)
		}
		n.waitLimits(cgroupOf(p), c.pod)
		n.waitLimits(containerCgroup(p, "app"), c.container)
		for _, pid := range n.processes(containerCgroup(p, "app")) {
			score, err := strconv.Atoi(strings.TrimSpace(n.Get("/proc/" + pid + "/oom_score_adj")))
			if bounds := scores[c.name]; err != nil || score < bounds[0] || score > bounds[1] {
				n.t.Errorf("a process of %s has oom_score_adj %d, %v, want %v", c.name, score, err, bounds)
			}
		}
	}
	// Burstable pods weigh as much as their requests, 100m of fleet and 100m
	// of burstable (each is rounded first, so it is not 29), and all of
	// podstead as much as two CPUs.
	n.waitLimits(cgroupRoot, map[string]string{"cpu.weight": "174"})
	n.waitLimits(cgroupRoot+"/burstable", map[string]string{"cpu.weight": "28"})
	n.waitLimits(cgroupRoot+"/besteffort", map[string]string{"cpu.weight": "1"})
	for _, c := range cases {
		n.drop(c.name)
	}
	n.clean()
}

// processes are those in a cgroup, at least one.
func (n *node) processes(cgroup string) []string {
	n.t.Helper()
	pids := strings.Fields(n.Get(cgroup + "/cgroup.procs"))
	if len(pids) == 0 {
		n.t.Fatalf("cgroup %s is empty", cgroup)
	}
	return pids
}

// waitProcesses waits until a pod's container has a number of processes.
func (n *node) waitProcesses(p corev1.Pod, number int) (pids []string) {
	n.t.Helper()
	n.Eventually(wait, func() error {
		if pids = n.processes(containerCgroup(p, "app")); len(pids) != number {
			return fmt.Errorf("pod %s has the processes %v, want %d", p.Name, pids, number)
		}
		return nil
	})
	return pids
}

func guaranteed(cpu, memory string) spec {
	return spec{generation: "1", container: fmt.Sprintf("resources: {limits: {cpu: %s, memory: %s}}\n", cpu, memory)}
}

// testResize: an edit of limits reaches the kernel and ends no container.
func (n *node) testResize() {
	n.applySpec("resize", guaranteed("200m", "64Mi"))
	before := n.WaitReady("resize")
	for _, to := range []struct{ cpu, memory, quota, bytes string }{
		{"400m", "96Mi", "40000 100000", "100663296"},
		{"100m", "48Mi", "10000 100000", "50331648"},
	} {
		n.applySpec("resize", guaranteed(to.cpu, to.memory))
		for _, cgroup := range []string{containerCgroup(before, "app"), cgroupOf(before)} {
			n.waitLimits(cgroup, map[string]string{"cpu.max": to.quota, "memory.max": to.bytes})
		}
	}
	now := n.WaitReady("resize")
	if containerID(now, "app") != containerID(before, "app") || now.Status.ContainerStatuses[0].RestartCount != 0 {
		n.t.Errorf("resized, container %s became %+v", containerID(before, "app"), now.Status.ContainerStatuses[0])
	}
	n.drop("resize")
	n.WaitGone("resize")
}

// testResizeHeld: a limit below what is used would kill on cgroup v2, so it
// is held and said.
func (n *node) testResizeHeld() {
	s := guaranteed("200m", "96Mi")
	s.container += "args: [-alloc, '52428800', -say, here]\n"
	n.applySpec("held", s)
	p := n.WaitReady("held")
	cgroup := containerCgroup(p, "app")
	n.Eventually(wait, func() error {
		used, err := strconv.Atoi(strings.TrimSpace(n.Get(cgroup + "/memory.current")))
		if err == nil && used < 50<<20 {
			err = fmt.Errorf("it uses %d bytes yet", used)
		}
		return err
	})
	s.container = strings.Replace(s.container, "96Mi", "40Mi", 1)
	n.applySpec("held", s)
	n.Eventually(wait, func() error {
		out, err := n.Try("podstead", "describe", "pod", "held")
		if err == nil && !strings.Contains(out.Stdout, "memory limit 40Mi is below the") {
			err = fmt.Errorf("describe does not say that the shrink is held:\n%s", out.Stdout)
		}
		return err
	})
	n.waitLimits(cgroup, map[string]string{"memory.max": "100663296"})
	if now := n.WaitReady("held"); containerID(now, "app") != containerID(p, "app") {
		n.t.Errorf("container %s became %s", containerID(p, "app"), containerID(now, "app"))
	}
	n.drop("held")
	n.WaitGone("held")
}

// testOOM: when a process of a container takes too much memory, all of that
// container go, and nobody else.
func (n *node) testOOM() {
	n.applySpec("oom", spec{generation: "1", container: "args: [-children, '3']\nresources: {limits: {memory: 48Mi}}\n"})
	p := n.WaitReady("oom")
	before := n.waitProcesses(p, 4)
	from := n.Now()
	// Not the first process: without memory.oom.group it alone would die.
	r, err := n.Try("podstead", "exec", "oom", "--", "/witness", "-dir", "", "-alloc", "200000000")
	if err == nil || r.Code != 137 {
		n.t.Errorf("the greedy process ended with %d, %v, want 137", r.Code, err)
	}
	now := n.WaitPod("oom", func(p corev1.Pod) error {
		if c := p.Status.ContainerStatuses[0]; c.RestartCount != 1 || c.State.Running == nil {
			return fmt.Errorf("%+v, want it restarted once", c)
		}
		return nil
	})
	n.Fault("oom", "default_oom_app", from)
	if end := now.Status.ContainerStatuses[0].LastTerminationState.Terminated; end == nil || end.Reason != "OOMKilled" || end.ExitCode != 137 {
		n.t.Errorf("the container ended as %+v, want OOMKilled, exit code 137", end)
	}
	for _, pid := range before {
		if _, alive := n.Look("/proc/" + pid + "/stat"); alive {
			n.t.Errorf("process %s of the container lives", pid)
		}
	}
	n.drop("oom")
	n.clean() // and so every other container is the same as before
}

// testPressure: what the kernel says of pressure is in the metrics.
func (n *node) testPressure() {
	p := n.WaitReady("duo")
	file := path.Join(containerCgroup(p, "app"), "cpu.pressure")
	// A container that may use little CPU and wants much.
	n.Eventually(wait, func() error {
		if _, err := n.Try("podstead", "exec", "duo", "-c", "app", "--", "/witness", "-dir", "", "-flood", "20000", "-flood-exit", "-line-size", "200"); err != nil {
			return err
		}
		if waited(n.Get(file)) == 0 {
			return fmt.Errorf("nothing in it has waited for a processor: %s", n.Get(file))
		}
		return nil
	})
	n.Eventually(wait, func() error {
		least := waited(n.Get(file))
		page, err := n.HTTP("", "http://127.0.0.1:9255/metrics/cadvisor", nil)
		if err != nil {
			return err
		}
		most := waited(n.Get(file))
		row := regexp.MustCompile(`(?m)^container_pressure_cpu_waiting_seconds_total\{container="app",[^}]*pod="duo"\} (\S+)`).FindStringSubmatch(page)
		if row == nil {
			return fmt.Errorf("the metrics have no pressure of duo's container")
		}
		// A scrape may show the reading before.
		if got, err := strconv.ParseFloat(row[1], 64); err != nil || got > most+0.001 || got < least/2 {
			return fmt.Errorf("the metrics say %s s of pressure, the kernel %f to %f", row[1], least, most)
		}
		for _, what := range []string{"cpu_stalled", "memory_waiting", "memory_stalled", "io_waiting", "io_stalled"} {
			if !strings.Contains(page, "\ncontainer_pressure_"+what+"_seconds_total{container=\"app\"") {
				return fmt.Errorf("the metrics have no container_pressure_%s_seconds_total", what)
			}
		}
		return nil
	})
}

// waited is the time in seconds that some tasks waited, by a pressure file.
func waited(text string) float64 {
	for line := range strings.Lines(text) {
		if _, total, ok := strings.Cut(strings.TrimSpace(line), " total="); ok && strings.HasPrefix(line, "some") {
			us, _ := strconv.ParseFloat(total, 64)
			return us / 1e6
		}
	}
	return 0
}

// testKill: a pod with many processes that don't go by themselves goes whole.
func (n *node) testKill() {
	n.applySpec("many", spec{generation: "1", container: "args: [-ignore-term, -children, '60']\n"})
	p := n.WaitReady("many")
	pids := n.waitProcesses(p, 61)
	n.drop("many")
	n.WaitGone("many")
	if left := n.Shell("for p in " + strings.Join(pids, " ") + "; do if [ -e /proc/$p ]; then echo $p; fi; done"); left != "" {
		n.t.Errorf("processes of the removed pod live: %s", left)
	}
	n.clean()
}

// testAppArmor: containers run under the default profile.
func (n *node) testAppArmor() {
	p := n.WaitReady("web")
	for _, pid := range n.processes(containerCgroup(p, "app")) {
		if got := strings.TrimSpace(n.Get("/proc/" + pid + "/attr/current")); got != "podstead-default (enforce)" {
			n.t.Errorf("process %s runs under the profile %q, want podstead-default (enforce)", pid, got)
		}
	}
	// That is what containers see themselves, and it forbids something that
	// nothing else does.
	inside := n.Run("podstead", "exec", "web", "--", "/witness", "-dir", "", "-dump", "-exit-after", "0s")
	if want := "/proc/self/attr/current: podstead-default (enforce)"; !strings.Contains(inside, want) {
		n.t.Errorf("a container sees\n%swant %q in it", inside, want)
	}
	const admin = "securityContext: {capabilities: {add: [SYS_ADMIN]}, seccompProfile: {type: Unconfined}%s}\n"
	n.applySpec("bound", spec{generation: "1", container: fmt.Sprintf(admin, "")})
	n.WaitReady("bound")
	if r, err := n.mountInside("bound"); err == nil || r.Code != 77 || !strings.Contains(r.Stderr, "permission denied") {
		n.t.Errorf("under the default profile a mount by an administrator ends with %d, %q, want 77 and permission denied", r.Code, r.Stderr)
	}
	n.drop("bound")
	n.applySpec("free", spec{generation: "1", container: fmt.Sprintf(admin, ", appArmorProfile: {type: Unconfined}")})
	p = n.WaitReady("free")
	if _, err := n.mountInside("free"); err != nil {
		n.t.Errorf("without a profile a mount by an administrator ends with %v: the look at the default profile was blind", err)
	}
	// The profile of runc itself, where there is one, confines nothing.
	got := strings.TrimSpace(n.Get("/proc/" + n.processes(containerCgroup(p, "app"))[0] + "/attr/current"))
	if got != "unconfined" && !strings.HasSuffix(got, " (unconfined)") {
		n.t.Errorf("a container that asks for no profile runs under %q", got)
	}
	n.drop("free")
	n.clean()
}

// mountInside lets a process of a pod mount something.
func (n *node) mountInside(name string) (guest.Result, error) {
	n.t.Helper()
	return n.Try("podstead", "exec", name, "--", "/witness", "-dir", "", "-mount", "/proc")
}
