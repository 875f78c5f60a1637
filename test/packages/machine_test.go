package packages

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/mounts"
)

const patience = time.Minute

// machine is a copy of this server's files, in which dpkg and podstead run as on
// a server of their own. Its /run is empty: there is no systemd.
type machine struct {
	t *testing.T
	// root is the folder, and changed has all files that differ from ours.
	root, changed string
	// library is its /var/lib, which is on a disk, as containerd needs it.
	library string
	cgroup  string
	daemon  *exec.Cmd
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	memory, library := t.TempDir(), t.TempDir()
	m := &machine{t: t, root: filepath.Join(memory, "root"), changed: filepath.Join(memory, "changed"), library: library,
		cgroup: "/podstead-test-" + strings.ToLower(rand.Text()[:8])}
	mount := func(source, target, kind string, flags uintptr, data string) {
		t.Helper()
		if err := unix.Mount(source, target, kind, flags, data); err != nil {
			t.Fatalf("mount %s at %s: %v", kind, target, err)
		}
	}
	t.Cleanup(m.remove)
	mount("files", memory, "tmpfs", 0, "")
	for _, dir := range []string{m.root, m.changed, filepath.Join(memory, "work")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount("files", m.root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", m.changed, filepath.Join(memory, "work")))
	command(t, "cp", "-a", "/var/lib/dpkg", library)
	mount(library, filepath.Join(m.root, "var/lib"), "", unix.MS_BIND, "")
	mount("proc", filepath.Join(m.root, "proc"), "proc", 0, "")
	mount("/sys", filepath.Join(m.root, "sys"), "", unix.MS_BIND|unix.MS_REC, "")
	mount("/dev", filepath.Join(m.root, "dev"), "", unix.MS_BIND|unix.MS_REC, "")
	mount("run", filepath.Join(m.root, "run"), "tmpfs", 0, "mode=0755")
	mount("tmp", filepath.Join(m.root, "tmp"), "tmpfs", 0, "mode=1777")
	// Shared, as systemd has it, but not with ours: /sys is to stay here when it
	// is unmounted there.
	mount("", memory, "", unix.MS_REC|unix.MS_PRIVATE, "")
	mount("", m.root, "", unix.MS_REC|unix.MS_SHARED, "")
	return m
}

// remove takes everything away, whatever is left of it.
func (m *machine) remove() {
	for _, pid := range m.processes() {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	m.eventually(func() error {
		if left := m.processes(); len(left) > 0 {
			return fmt.Errorf("%d processes are left", len(left))
		}
		return nil
	})
	points, err := mounts.Below(filepath.Dir(m.root))
	if err != nil {
		m.t.Error(err)
	}
	for _, p := range points {
		// Those of /sys and /dev are busy for others.
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			m.t.Errorf("unmount %s: %v", p, err)
		}
	}
	for _, dir := range m.cgroups() {
		_ = os.Remove(dir)
	}
}

// path is a file of the machine.
func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

func (m *machine) exists(name string) bool {
	_, err := os.Lstat(m.path(name))
	return err == nil
}

// command is one on the machine, not started.
func (m *machine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/usr/bin/env", append([]string{"-i",
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root}
	cmd.Dir = "/"
	return cmd
}

// try runs a command and returns its output.
func (m *machine) try(name string, args ...string) (string, error) {
	out, err := m.command(m.t.Context(), name, args...).CombinedOutput()
	return string(out), err
}

// do runs a command that must succeed.
func (m *machine) do(name string, args ...string) string {
	m.t.Helper()
	out, err := m.try(name, args...)
	if err != nil {
		m.t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return out
}

// install gives a package to dpkg.
func (m *machine) install(deb string) string {
	m.t.Helper()
	text, err := os.ReadFile(deb)
	if err != nil {
		m.t.Fatal(err)
	}
	name := "/tmp/" + filepath.Base(deb)
	if err := os.WriteFile(m.path(name), text, 0o644); err != nil {
		m.t.Fatal(err)
	}
	// What it depends on is this server's: apparmor is not, without which the
	// kernel has none.
	return m.do("dpkg", "--force-depends", "--install", name)
}

// start starts the daemon, as a supervisor would.
func (m *machine) start() {
	m.t.Helper()
	m.daemon = m.command(context.WithoutCancel(m.t.Context()), "podstead", "run")
	log, err := os.OpenFile(m.path("/tmp/podstead.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	m.daemon.Stdout, m.daemon.Stderr = log, log
	if err := m.daemon.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.eventually(func() error {
		out, err := m.try("podstead", "status")
		if err != nil {
			return fmt.Errorf("%w: %s: %s", err, out, read(m.t, m.path("/tmp/podstead.log")))
		}
		return nil
	})
}

// stop ends the daemon as a supervisor would.
func (m *machine) stop() {
	m.t.Helper()
	if err := m.daemon.Process.Signal(unix.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
	if err := m.daemon.Wait(); err != nil {
		m.t.Fatalf("podstead ended: %v: %s", err, read(m.t, m.path("/tmp/podstead.log")))
	}
}

// eventually waits for a condition. A condition that does not hold says why.
func (m *machine) eventually(condition func() error) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			m.t.Errorf("not within %s: %v", patience, err)
			return
		}
	}
}

// processes are those of the machine, containers' included: all but ours.
func (m *machine) processes() []int {
	var found []int
	entries, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e, "/proc/%d/exe", &pid); err != nil || pid == 1 || pid == os.Getpid() {
			continue
		}
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(state), ") Z ") {
			found = append(found, pid)
		}
	}
	return found
}

// cgroups are those of the machine's pods, the deepest first.
func (m *machine) cgroups() []string {
	var found []string
	roots, _ := filepath.Glob("/sys/fs/cgroup/*" + m.cgroup)
	for _, r := range append(roots, "/sys/fs/cgroup"+m.cgroup) {
		_ = filepath.WalkDir(r, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				found = append([]string{path}, found...)
			}
			return nil
		})
	}
	return found
}

// files are all that differ from this server's, with what is in /run, without
// what dpkg keeps for itself.
func (m *machine) files() map[string]bool {
	found := map[string]bool{}
	for at, dir := range map[string]string{"/": m.changed, "/var/lib": m.library, "/run": m.path("/run")} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := filepath.Join(at, strings.TrimPrefix(path, dir))
			if name == "/var/lib/dpkg" {
				return fs.SkipDir
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			// A character device is the sign that a file is gone.
			found[fmt.Sprintf("%s %s", info.Mode().Type(), name)] = true
			return nil
		})
		if err != nil {
			m.t.Fatal(err)
		}
	}
	return found
}
