package cgroups

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	corev1 "k8s.io/api/core/v1"
)

// tree unpacks a captured /sys/fs/cgroup and makes the links that v1 has.
func tree(t *testing.T, name string) string {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := txtar.Write(a, dir); err != nil {
		t.Fatal(err)
	}
	for _, both := range []string{"cpu,cpuacct", "net_cls,net_prio"} {
		for one := range strings.SplitSeq(both, ",") {
			if _, err := os.Stat(filepath.Join(dir, both)); err != nil {
				continue
			}
			if err := os.Symlink(both, filepath.Join(dir, one)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func manager(t *testing.T, mountpoint string, capacity corev1.ResourceList) *Manager {
	t.Helper()
	m, err := New(Config{Mountpoint: mountpoint, Capacity: capacity})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCapabilitiesOfCapturedTrees(t *testing.T) {
	for _, tc := range []struct {
		tree        string
		want        Capabilities
		hierarchies int
	}{
		{"v2", Capabilities{Mode: V2, CPU: true, Memory: true, PIDs: true, Swap: true, Pressure: true}, 1},
		{"v1", Capabilities{Mode: V1, CPU: true, Memory: true, PIDs: true}, 10},
		{"hybrid", Capabilities{Mode: Hybrid, CPU: true, Memory: true, PIDs: true, Pressure: true}, 10},
		{"hybrid-no-memory", Capabilities{Mode: Hybrid, CPU: true, Missing: []string{
			"memory limits are not enforced: cgroup controller memory is in the v2 hierarchy DIR/unified, while the others are v1: runtimes don't use it there",
			"limits on the number of processes are not enforced: the kernel offers no cgroup controller pids (cgroup hybrid at DIR)",
		}}, 4},
	} {
		t.Run(tc.tree, func(t *testing.T) {
			dir := tree(t, tc.tree)
			m := manager(t, dir, nil)
			got := m.Capabilities()
			for i := range got.Missing {
				got.Missing[i] = strings.ReplaceAll(got.Missing[i], dir, "DIR")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("capabilities (-want +got):\n%s", diff)
			}
			if len(m.layout.all) != tc.hierarchies {
				t.Errorf("found %d hierarchies, want %d: %q", len(m.layout.all), tc.hierarchies, m.layout.all)
			}
		})
	}
}

func TestNoCgroupsIsAnError(t *testing.T) {
	dir := t.TempDir()
	if _, err := New(Config{Mountpoint: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("New on an empty tree: %v, want an error that names %s", err, dir)
	}
	for _, root := range []string{"/", "relative", "/a/../b", "/a/"} {
		if _, err := New(Config{Mountpoint: tree(t, "v2"), Root: root}); err == nil {
			t.Errorf("root %q was accepted", root)
		}
	}
}

func TestLimitsThatCannotBeEnforcedAreRefused(t *testing.T) {
	dir := tree(t, "hybrid-no-memory")
	p := podOf(nil, container("web", nil, list("100m", "64Mi")))
	m := manager(t, dir, nil)
	err := m.Prepare(t.Context(), "aaaa", p)
	if err == nil || !strings.Contains(err.Error(), `container "web": resources.limits.memory 64Mi can't be enforced`) {
		t.Errorf("Prepare: %v, want a refusal that names container, field and value", err)
	}
	if got := m.Unenforced(podOf(nil, container("web", list("1", "64Mi"), nil))); len(got) != 0 {
		t.Errorf("a pod without limits has unenforced limits: %q", got)
	}
	if r, _ := m.Container(p, &p.Spec.Containers[0]); r.Memory != nil || r.CPU == nil {
		t.Errorf("container's resources are %+v, want CPU only", r)
	}
}

// content reads a control file of the captured tree.
func content(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func TestPrepareWritesV2(t *testing.T) {
	dir := tree(t, "v2")
	m := manager(t, dir, list("4", "8Gi"))
	p := podOf(nil, container("a", list("250m", "32Mi"), list("500m", "64Mi")))
	if err := m.Prepare(t.Context(), "aaaa", p); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, m.Path("aaaa", p))
	got := map[string]string{}
	for _, name := range []string{"cpu.weight", "cpu.max", "memory.max", "pids.max", "cgroup.subtree_control"} {
		got[name] = content(t, at, name)
	}
	got["root cpu.weight"] = content(t, dir, "podstead/cpu.weight")
	got["burstable cpu.weight"] = content(t, dir, "podstead/burstable/cpu.weight")
	got["besteffort cpu.weight"] = content(t, dir, "podstead/besteffort/cpu.weight")
	// Of the root, systemd had kept cpu to itself.
	got["top subtree_control"] = content(t, dir, "cgroup.subtree_control")
	want := map[string]string{
		"cpu.weight": "35", "cpu.max": "50000 100000", "memory.max": "67108864", "pids.max": "1024",
		"cgroup.subtree_control": "+pids", // the last of three writes
		"root cpu.weight":        "303", "burstable cpu.weight": "35", "besteffort cpu.weight": "1",
		"top subtree_control": "+cpu",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("control files (-want +got):\n%s", diff)
	}
}

func TestCheckGivesControllersBack(t *testing.T) {
	dir := tree(t, "v2")
	// A pod without containers, below which nothing is missing.
	pod := filepath.Join(dir, "podstead/burstable/podaaaa")
	if err := os.WriteFile(filepath.Join(pod, "cgroup.subtree_control"), []byte("cpu io memory pids"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := manager(t, dir, nil)
	restored, err := m.Check(t.Context())
	if err != nil || !restored {
		t.Fatalf("Check = %v, %v, want restored", restored, err)
	}
	if got := content(t, dir, "cgroup.subtree_control"); got != "+cpu" {
		t.Errorf("subtree_control was set to %q, want +cpu", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("cpu io memory pids"), 0o644); err != nil {
		t.Fatal(err)
	}
	if restored, err := m.Check(t.Context()); err != nil || restored {
		t.Errorf("second Check = %v, %v, want nothing to do", restored, err)
	}
}

// What is taken away below a pod leaves its containers without limits too.
func TestCheckLooksAtPodsToo(t *testing.T) {
	dir := tree(t, "v2")
	m := manager(t, dir, nil)
	pods, err := m.podPaths()
	if err != nil || len(pods) == 0 {
		t.Fatalf("the tree has the pods %v, %v", pods, err)
	}
	const all = "cpu io memory pids"
	for _, at := range append([]string{"", "podstead", "podstead/burstable", "podstead/besteffort"}, pods...) {
		at = filepath.Join(dir, at)
		if !exists(at) {
			continue
		}
		for _, name := range []string{"cgroup.controllers", "cgroup.subtree_control"} {
			if err := os.WriteFile(filepath.Join(at, name), []byte(all), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if restored, err := m.Check(t.Context()); err != nil || restored {
		t.Fatalf("Check = %v, %v, want nothing to do", restored, err)
	}
	lost := filepath.Join(dir, pods[len(pods)-1], "cgroup.subtree_control")
	if err := os.WriteFile(lost, []byte("cpu io pids"), 0o644); err != nil {
		t.Fatal(err)
	}
	if restored, err := m.Check(t.Context()); err != nil || !restored {
		t.Errorf("Check = %v, %v, want restored", restored, err)
	}
	if got := content(t, filepath.Dir(lost), "cgroup.subtree_control"); got != "+memory" {
		t.Errorf("subtree_control of the pod was set to %q, want +memory", got)
	}
}

func TestContainerResourcesV2(t *testing.T) {
	m := manager(t, tree(t, "v2"), list("4", "8Gi"))
	p := podOf(nil, container("a", list("1", "4Gi"), list("", "6Gi")))
	r, adj := m.Container(p, &p.Spec.Containers[0])
	if diff := cmp.Diff(map[string]string{"cpu.weight": "100", "memory.oom.group": "1", "memory.swap.max": "0"}, r.Unified); diff != "" {
		t.Errorf("unified (-want +got):\n%s", diff)
	}
	if *r.Memory.Limit != 6<<30 || *r.CPU.Quota != -1 || *r.CPU.Period != 100000 || *r.CPU.Shares != 1024 || r.Memory.Swap != nil || adj != 500 {
		t.Errorf("memory %+v cpu %+v oom_score_adj %d", r.Memory, r.CPU, adj)
	}
}

func TestShrinkHoldsMemoryInUse(t *testing.T) {
	dir := tree(t, "v2")
	m := manager(t, dir, nil)
	limited := func(cpu, memory string) *corev1.Pod {
		return podOf(nil, container("a", list("100m", "16Mi"), list(cpu, memory)))
	}
	at := filepath.Join(dir, m.Path("aaaa", limited("1", "64Mi")))
	if err := m.Prepare(t.Context(), "aaaa", limited("1", "64Mi")); err != nil {
		t.Fatal(err)
	}
	// 50 MiB are in use.
	err := m.Shrink(t.Context(), "aaaa", limited("500m", "32Mi"))
	if err == nil || !strings.Contains(err.Error(), "52428800 bytes are in use") {
		t.Errorf("Shrink below use: %v, want a refusal with the use", err)
	}
	if got := content(t, at, "memory.max"); got != "67108864" {
		t.Errorf("memory.max is %s, want the old limit", got)
	}
	if got := content(t, at, "cpu.max"); got != "50000 100000" {
		t.Errorf("cpu.max is %q, want the new limit", got)
	}
	if err := m.Shrink(t.Context(), "aaaa", limited("500m", "56Mi")); err != nil {
		t.Errorf("Shrink above use: %v", err)
	}
	if got := content(t, at, "memory.max"); got != "58720256" {
		t.Errorf("memory.max is %s, want 56 MiB", got)
	}
}
