package spec_test

import (
	"bufio"
	"encoding/json"
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

	"github.com/containerd/containerd/v2/pkg/cap"
	"golang.org/x/sys/unix"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

// box is a place to run containers in: root file system, sandbox, cgroup.
type box struct {
	dir, rootfs, cgroup string
	sandbox             pod.Sandbox
}

// newBox needs root; where root has no runc, the test fails, since runc is
// what the product runs on.
func newBox(t *testing.T) *box {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("running containers needs root")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		t.Fatalf("runc is needed: %v", err)
	}
	dir := t.TempDir()
	b := &box{dir: dir, rootfs: filepath.Join(dir, "rootfs"), cgroup: fmt.Sprintf("/podstead-spec-test-%d", os.Getpid())}
	t.Cleanup(func() { removeCgroups(t, b.cgroup) })
	b.mkdir(t, "shm", "runc", "rootfs/bin", "rootfs/etc", "rootfs/work", "rootfs/srv")
	if err := os.Chmod(filepath.Join(dir, "shm"), 0o1777); err != nil {
		t.Fatal(err)
	}
	b.build(t, "rootfs/entry", "./testdata/inside")
	b.build(t, "rootfs"+spec.PausePath, "../../cmd/podstead-pause")
	for _, name := range []string{"bin/db", "bin/sh"} {
		if err := os.Link(filepath.Join(b.rootfs, "entry"), filepath.Join(b.rootfs, name)); err != nil {
			t.Fatal(err)
		}
	}
	b.hold(t)
	return b
}

func (b *box) mkdir(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(b.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *box) build(t *testing.T, to, pkg string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(b.dir, to), pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
}

// hold makes the sandbox's namespaces and keeps them until the test ends.
func (b *box) hold(t *testing.T) {
	t.Helper()
	cmd := exec.Command(filepath.Join(b.rootfs, "entry"), "hold")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("hold: %q, %v", line, err)
	}
	ns := fmt.Sprintf("/proc/%d/ns/", cmd.Process.Pid)
	b.sandbox = pod.Sandbox{ID: "s1", Ready: true, NetNS: ns + "net", IPCNS: ns + "ipc", UTSNS: ns + "uts",
		ShmDir: filepath.Join(b.dir, "shm"), Hostname: "web", IPs: []string{"10.99.0.7"}}
}

// place moves a request of the golden files into the box.
func (b *box) place(t *testing.T, name string, in spec.Input) spec.Input {
	t.Helper()
	in.Request.Sandbox = b.sandbox
	in.Request.CgroupPath = b.cgroup + "/" + name
	in.Host.CgroupV2 = unifiedCgroups(t)
	in.Host.OOMScoreAdjMin = oomScoreAdjMin(t)
	in.RootPath = b.rootfs
	in.Request.Mounts = slices.Clone(in.Request.Mounts)
	for i := range in.Request.Mounts {
		m := &in.Request.Mounts[i]
		m.Source = filepath.Join(b.dir, name, m.Source)
		b.mkdir(t, strings.TrimPrefix(m.Source, b.dir)+"/sub")
		if m.RecursiveReadOnly {
			mountBelow(t, filepath.Join(m.Source, "sub"))
		}
	}
	if in.TerminationLog != "" {
		b.mkdir(t, name)
		in.TerminationLog = filepath.Join(b.dir, name, "termination-log")
		if err := os.WriteFile(in.TerminationLog, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(in.TerminationLog, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// mountBelow mounts a writable tmpfs until the test ends.
func mountBelow(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("podstead-spec-test", dir, "tmpfs", 0, "size=64k,mode=0777"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

// oomScoreAdjMin is nil where this process may lower its oom_score_adj.
func oomScoreAdjMin(t *testing.T) *int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		t.Fatal(err)
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	caps, err := cap.Current()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(caps, "CAP_SYS_RESOURCE") {
		return nil
	}
	return &own
}

func unifiedCgroups(t *testing.T) bool {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &s); err != nil {
		t.Fatal(err)
	}
	return s.Type == unix.CGROUP2_SUPER_MAGIC
}

func (b *box) bundle(t *testing.T, name string, s *specs.Spec) string {
	t.Helper()
	b.mkdir(t, "bundle-"+name)
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(b.dir, "bundle-"+name)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (b *box) runc(args ...string) *exec.Cmd {
	return exec.Command("runc", append([]string{"--root", filepath.Join(b.dir, "runc")}, args...)...)
}

// report mirrors testdata/inside.
type report struct {
	Args, Env               []string
	Cwd, Hostname, OOMScore string
	Status, NS, Mounts      map[string]string
	CanWrite                map[string]bool
	Kcore                   int
	NewUserNS               string
	Processes               int
}

// run executes a spec and returns what the program inside says.
func (b *box) run(t *testing.T, name string, s *specs.Spec) report {
	t.Helper()
	id := b.cgroup[1:] + "-" + name
	t.Cleanup(func() { _ = b.runc("delete", "--force", id).Run() })
	cmd := b.runc("run", "--bundle", b.bundle(t, name, s), id)
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("runc run: %v: %s", err, exit.Stderr)
		}
		t.Fatalf("runc run: %v", err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("report %q: %v", out, err)
	}
	return r
}

// pause runs the pause container of the box and returns its PID.
func (b *box) pause(t *testing.T) int {
	t.Helper()
	s := build(t, b.place(t, "pause", goldenInputs()["pause"]))
	id := b.cgroup[1:] + "-pause"
	pidFile := filepath.Join(b.dir, "pause.pid")
	t.Cleanup(func() { _ = b.runc("delete", "--force", id).Run() })
	// Its output goes nowhere: a pipe would keep the test waiting for it.
	cmd := b.runc("--log", filepath.Join(b.dir, "pause.log"), "run", "--detach", "--pid-file", pidFile, "--bundle", b.bundle(t, "pause", s), id)
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(b.dir, "pause.log"))
		t.Fatalf("runc run pause: %v\n%s", err, log)
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// removeCgroups removes what runc leaves: the parent of the containers'
// cgroups, in every hierarchy.
func removeCgroups(t *testing.T, name string) {
	t.Helper()
	roots, _ := filepath.Glob("/sys/fs/cgroup/*" + name)
	for _, root := range append(roots, "/sys/fs/cgroup"+name) {
		var dirs []string
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs)
		for _, dir := range dirs {
			// A cgroup is busy for a moment after its last process ended.
			for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if err := os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
					break
				} else if time.Now().After(deadline) {
					t.Errorf("remove cgroup: %v", err)
					break
				}
			}
		}
	}
}
