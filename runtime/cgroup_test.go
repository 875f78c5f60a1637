package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// tree makes files of a cgroup file system.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOOMKillsOnEveryKindOfHost(t *testing.T) {
	for kind, files := range map[string]map[string]string{
		"v1":     {"memory/p/id/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "pids/p/id/cgroup.procs": ""},
		"v2":     {"cgroup.controllers": "memory", "p/id/memory.events": "low 0\noom 9\noom_kill 3\noom_group_kill 1\n"},
		"hybrid": {"memory/p/id/memory.oom_control": "oom_kill 3\n", "unified/p/id/cgroup.procs": "", "unified/cgroup.controllers": ""},
	} {
		r := &Runtime{cfg: Config{CgroupRoot: tree(t, files)}}
		c, err := r.cgroupOf("id", "/p/id")
		if err != nil || c.oomKills() != 3 {
			t.Errorf("%s: %d, %v", kind, c.oomKills(), err)
		}
	}
}

func TestProcessesOfEveryHierarchyAndLevel(t *testing.T) {
	r := &Runtime{cfg: Config{CgroupRoot: tree(t, map[string]string{
		"memory/p/id/cgroup.procs": "10\n0\n", "unified/p/id/sub/cgroup.procs": "10\n11\n", "memory/p/cgroup.procs": "99\n",
	})}}
	c, err := r.cgroupOf("id", "/p/id")
	if err != nil {
		t.Fatal(err)
	}
	pids, err := c.processes()
	if err != nil || len(pids) != 2 || !pids[10] || !pids[11] {
		t.Errorf("processes %v, %v", pids, err)
	}
}

func TestOnlyAContainersOwnCgroupIsTouched(t *testing.T) {
	r := &Runtime{cfg: Config{CgroupRoot: t.TempDir()}}
	for _, path := range []string{"", "/", "/p", "p/id", "/p/id/.."} {
		if c, err := r.cgroupOf("id", path); err == nil {
			t.Errorf("%q is taken: %v", path, c)
		}
	}
}

func TestStartFailures(t *testing.T) {
	const prefix = "failed to create task: failed to create shim task: OCI runtime create failed: runc create failed: "
	for text, want := range map[string]string{
		prefix + `unable to start container process: exec: "/x": stat /x: no such file or directory: unknown`: `exec: "/x": stat /x: no such file or directory`,
		prefix + "unable to apply cgroup configuration: no space left on device: unknown":                     "",
		"connection refused": "",
	} {
		got, ok := startFailure(errors.New(text))
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", text, got, ok)
		}
	}
	if _, ok := startFailure(nil); ok {
		t.Error("success is a failure")
	}
}
