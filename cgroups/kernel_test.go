package cgroups

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
)

// The tests in this file use the cgroups of the host, in a tree of their own.

func TestMain(m *testing.M) {
	if role := os.Getenv("CGROUPS_TEST_ROLE"); role != "" {
		play(role)
		return
	}
	os.Exit(m.Run())
}

// play is what a process in a cgroup does: it reports that it is there, waits
// for a line, and then does what its role says.
func play(role string) {
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	switch role {
	case "eat":
		eat(64 << 20)
	case "write":
		if err := os.WriteFile(os.Getenv("CGROUPS_TEST_FILE"), make([]byte, 64<<20), 0o600); err != nil {
			fmt.Println(err)
		}
	case "fork":
		// Unlike a shell, perl goes on when it can't fork.
		_ = syscall.Exec("/usr/bin/perl", []string{"perl", "-e", "fork while 1"}, nil)
	}
	fmt.Println("done")
	select {}
}

func eat(bytes int) {
	food := make([]byte, bytes)
	for i := range food {
		food[i] = byte(i)
	}
	_ = slices.Max(food)
}

// host returns a manager on the host's cgroups with a root of its own.
func host(t *testing.T) *Manager {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	m, err := New(Config{
		Root:     fmt.Sprintf("/podstead-test-%d-%d", os.Getpid(), time.Now().UnixNano()),
		Capacity: list("2", "4Gi"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Capabilities(); !c.CPU || !c.Memory || !c.PIDs {
		t.Skipf("this host can't limit: %q", c.Missing)
	}
	t.Cleanup(func() {
		uids, err := m.List(context.Background())
		for _, uid := range uids {
			err = errors.Join(err, m.Remove(context.Background(), uid))
		}
		if err := errors.Join(err, m.RemoveRoot(context.Background())); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return m
}

// runIn starts a process of a role in a cgroup below the pod's.
func runIn(t *testing.T, m *Manager, at, role string) (c *exec.Cmd, say func(string), hear func() string) {
	t.Helper()
	c = exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "CGROUPS_TEST_ROLE="+role)
	in, err1 := c.StdinPipe()
	out, err2 := c.StdoutPipe()
	if err := errors.Join(err1, err2, c.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	lines := bufio.NewReader(out)
	hear = func() string {
		line, _ := lines.ReadString('\n')
		return strings.TrimSpace(line)
	}
	if got := hear(); got != "ready" {
		t.Fatalf("process said %q, want ready", got)
	}
	enter(t, m, at, c.Process.Pid)
	return c, func(s string) { _, _ = in.Write([]byte(s)) }, hear
}

// enter puts a process into a cgroup of every hierarchy, as runtimes do.
func enter(t *testing.T, m *Manager, at string, pid int) {
	t.Helper()
	for _, mount := range m.layout.all {
		if mount == m.layout.v1["cpuset"] {
			continue
		}
		dir := filepath.Join(mount, at)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := writeFile(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			t.Fatal(err)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// left lists what there is of a path in any hierarchy.
func left(m *Manager, at string) []string {
	var found []string
	for _, mount := range m.layout.all {
		if exists(filepath.Join(mount, at)) {
			found = append(found, filepath.Join(mount, at))
		}
	}
	return found
}

func TestPrepareOnTheKernel(t *testing.T) {
	m := host(t)
	p := podOf(nil, container("a", list("250m", "32Mi"), list("500m", "64Mi")))
	for range 2 {
		if err := m.Prepare(t.Context(), "one", p); err != nil {
			t.Fatal(err)
		}
	}
	got, err := m.read(m.Path("one", p))
	if want := (settings{256, 50000, 64 << 20, 1024}); err != nil || got != want {
		t.Errorf("the kernel has %+v, %v, want %+v", got, err, want)
	}
	second := podOf(nil, container("a", list("750m", ""), nil))
	if err := m.Prepare(t.Context(), "two", second); err != nil {
		t.Fatal(err)
	}
	mount, _ := m.layout.hierarchy(ctlCPU)
	for tier, want := range map[string]uint64{"": 2048, burstableTier: 1024, bestEffortTier: 0} {
		dir := filepath.Join(mount, m.cfg.Root, tier)
		if want == 0 {
			continue
		}
		if got, err := m.readShares(dir); err != nil || got != want {
			t.Errorf("tier %q has %d shares, %v, want %d", tier, got, err, want)
		}
	}
	if err := m.Remove(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	if got, _ := m.readShares(filepath.Join(mount, m.cfg.Root, burstableTier)); got != 256 {
		t.Errorf("tier has %d shares after a pod went, want 256", got)
	}
}

func TestOOMKillIsCounted(t *testing.T) {
	m := host(t)
	p := podOf(nil, container("a", nil, list("1", "24Mi")))
	if err := m.Prepare(t.Context(), "one", p); err != nil {
		t.Fatal(err)
	}
	at := m.Path("one", p)
	c, say, _ := runIn(t, m, at+"/id", "eat")
	before, err := m.Stats(t.Context(), at)
	if err != nil || before.PIDs == nil || before.PIDs.Current < 1 {
		t.Errorf("statistics %+v, %v, want tasks", before, err)
	}
	say("\n")
	if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("process ended with %v, want killed for want of memory", err)
	}
	n, err := m.OOMKills(t.Context(), at+"/id")
	if n != 1 || err != nil {
		t.Errorf("OOMKills = %d, %v, want 1", n, err)
	}
	if err := m.Remove(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.OOMKills(t.Context(), at+"/id"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OOMKills of a cgroup that is gone: %v, want one that wraps ErrNotExist", err)
	}
}

func TestMemoryUsageLeavesOutPageCache(t *testing.T) {
	m := host(t)
	p := podOf(nil, container("a", nil, list("1", "512Mi")))
	if err := m.Prepare(t.Context(), "one", p); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CGROUPS_TEST_FILE", filepath.Join(t.TempDir(), "file"))
	for role, cache := range map[string]bool{"eat": false, "write": true} {
		at := m.Path("one", p) + "/" + role
		_, say, hear := runIn(t, m, at, role)
		say("\n")
		if got := hear(); got != "done" {
			t.Fatalf("process said %q", got)
		}
		used, err1 := m.MemoryUsage(t.Context(), at)
		s, err2 := m.Stats(t.Context(), at)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if s.Memory.Usage < 64<<20 || s.CPU.Total == 0 {
			t.Errorf("%s: Stats = %+v, want 64 MiB and some CPU", role, s)
		}
		if isCache := s.Memory.Usage-used > 48<<20; isCache != cache {
			t.Errorf("%s: %d of %d MiB can't be given back, want page cache left out: %v", role, used>>20, s.Memory.Usage>>20, cache)
		}
	}
}

// setChild does what a runtime does when it changes a container's limits.
func setChild(m *Manager, at string, s settings) error {
	s.pids = none
	return m.write(at, s)
}

func TestResizeOrderIsNeverRefusedByTheKernel(t *testing.T) {
	m := host(t)
	limited := func(cpu, memory int64) *corev1.Pod {
		c := container("a", corev1.ResourceList{corev1.ResourceCPU: scaled(corev1.ResourceCPU, 1)}, corev1.ResourceList{})
		if cpu > 0 {
			c.Resources.Limits[corev1.ResourceCPU] = scaled(corev1.ResourceCPU, cpu)
		}
		if memory > 0 {
			c.Resources.Limits[corev1.ResourceMemory] = scaled(corev1.ResourceMemory, memory)
		}
		return podOf(nil, c)
	}
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		draw := func() *corev1.Pod {
			// A limit of 1 would equal the request and change the QoS class,
			// which needs a new pod.
			cpu := rapid.SampledFrom([]int64{0, 2, 3, 9, 10, 11, 99, 500, 1000, 1999, 4000}).Draw(t, "cpu")
			return limited(cpu, rapid.SampledFrom([]int64{0, 64, 65, 100, 999, 2000}).Draw(t, "memory"))
		}
		p := draw()
		child := m.Path("one", p) + "/id"
		if err := m.Prepare(ctx, "one", p); err != nil {
			t.Fatal(err)
		}
		if err := m.make(ctx, child); err != nil {
			t.Fatal(err)
		}
		for step := range 4 {
			for _, do := range []func() error{
				func() error { return m.Grow(ctx, "one", p) },
				func() error { return setChild(m, child, containerSettings(&p.Spec.Containers[0])) },
				func() error { return m.Shrink(ctx, "one", p) },
				func() error { return m.Prepare(ctx, "one", p) },
			} {
				if err := do(); err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
			}
			if got, err := m.read(m.Path("one", p)); err != nil || got != podSettings(p, 1024) {
				t.Fatalf("step %d: the kernel has %+v, %v, want %+v", step, got, err, podSettings(p, 1024))
			}
			p = draw()
		}
		if err := m.Remove(ctx, "one"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPrepareDoesNotShrinkUnderContainers(t *testing.T) {
	m := host(t)
	big := podOf(nil, container("a", list("100m", ""), list("1", "64Mi")))
	small := podOf(nil, container("a", list("100m", ""), list("500m", "32Mi")))
	if err := m.Prepare(t.Context(), "one", big); err != nil {
		t.Fatal(err)
	}
	child := m.Path("one", big) + "/id"
	if err := m.make(t.Context(), child); err != nil {
		t.Fatal(err)
	}
	if err := setChild(m, child, containerSettings(&big.Spec.Containers[0])); err != nil {
		t.Fatal(err)
	}
	if err := m.Prepare(t.Context(), "one", small); err != nil {
		t.Fatal(err)
	}
	if got, err := m.read(m.Path("one", big)); err != nil || got.quota != 100000 || got.memory != 64<<20 {
		t.Errorf("the pod was shrunk below its container: %+v, %v", got, err)
	}
}
