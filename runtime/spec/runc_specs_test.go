package spec_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/cap"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podstead/podstead/runtime/spec"
)

// notForRunc are the golden pods that this test can't run: they need a
// terminal or AppArmor, or would run with the host's rights or namespaces.
var notForRunc = []string{"tty", "apparmor", "privileged", "host-namespaces", "unconfined-unmasked", "pause", "cgroup-v1"}

// liveProfile is a Localhost profile under which a program can run.
const liveProfile = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["unshare"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}`

// TestSpecsRunUnderRunc runs the golden pods and asks the process inside
// what it may do: a spec that reads well is worth what the kernel makes of it.
func TestSpecsRunUnderRunc(t *testing.T) {
	b := newBox(t)
	pause := b.pause(t)
	t.Run("pause", func(t *testing.T) { checkPause(t, pause) })
	for name, in := range goldenInputs() {
		if slices.Contains(notForRunc, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			in = b.place(t, name, in)
			if in.SeccompProfile != nil {
				in.SeccompProfile = []byte(liveProfile)
			}
			if in.Request.PausePID > 0 {
				in.Request.PausePID = pause
			}
			s := build(t, in)
			r := b.run(t, name, s)
			checkIdentity(t, s, r)
			checkNamespaces(t, in, r)
			checkMounts(t, s, r)
			checkConfined(t, in, r)
			last, err := os.ReadFile(in.TerminationLog)
			if err != nil || string(last) != "bye" {
				t.Errorf("termination message %q (%v), want bye", last, err)
			}
		})
	}
}

func checkEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// checkIdentity compares who runs what with the spec.
func checkIdentity(t *testing.T, s *specs.Spec, r report) {
	t.Helper()
	p := s.Process
	checkEqual(t, "args", strings.Join(r.Args, "|"), strings.Join(p.Args, "|"))
	checkEqual(t, "cwd", r.Cwd, p.Cwd)
	checkEqual(t, "oom_score_adj", r.OOMScore, strconv.Itoa(*p.OOMScoreAdj))
	for _, entry := range p.Env {
		if !slices.Contains(r.Env, entry) {
			t.Errorf("environment lacks %s: %v", entry, r.Env)
		}
	}
	checkEqual(t, "Uid", r.Status["Uid"], strings.TrimSpace(strings.Repeat(fmt.Sprint(p.User.UID)+" ", 4)))
	checkEqual(t, "Gid", r.Status["Gid"], strings.TrimSpace(strings.Repeat(fmt.Sprint(p.User.GID)+" ", 4)))
	checkEqual(t, "Groups", r.Status["Groups"], strings.Trim(fmt.Sprint(p.User.AdditionalGids), "[]"))
	effective := bitmap(p.Capabilities.Effective)
	if p.User.UID != 0 {
		effective = bitmap(nil)
	}
	checkEqual(t, "CapEff", r.Status["CapEff"], effective)
	checkEqual(t, "CapPrm", r.Status["CapPrm"], effective)
	checkEqual(t, "CapBnd", r.Status["CapBnd"], bitmap(p.Capabilities.Bounding))
	checkEqual(t, "CapAmb", r.Status["CapAmb"], bitmap(nil))
	nnp := "0"
	if p.NoNewPrivileges {
		nnp = "1"
	}
	checkEqual(t, "NoNewPrivs", r.Status["NoNewPrivs"], nnp)
}

func bitmap(caps []string) string {
	var bits uint64
	for i, name := range cap.Known() {
		if slices.Contains(caps, name) {
			bits |= 1 << i
		}
	}
	return fmt.Sprintf("%016x", bits)
}

func checkNamespaces(t *testing.T, in spec.Input, r report) {
	t.Helper()
	link := func(path string) string {
		target, err := os.Readlink(path)
		if err != nil {
			t.Fatal(err)
		}
		return target
	}
	box := in.Request.Sandbox
	checkEqual(t, "network", r.NS["net"], link(box.NetNS))
	checkEqual(t, "ipc", r.NS["ipc"], link(box.IPCNS))
	checkEqual(t, "uts", r.NS["uts"], link(box.UTSNS))
	checkEqual(t, "host name", r.Hostname, box.Hostname)
	for _, kind := range []string{"pid", "mnt"} {
		if r.NS[kind] == link("/proc/self/ns/"+kind) {
			t.Errorf("the %s namespace is the host's", kind)
		}
	}
	processes := 1
	if pause := in.Request.PausePID; pause > 0 {
		checkEqual(t, "pid", r.NS["pid"], link(fmt.Sprintf("/proc/%d/ns/pid", pause)))
		processes = 2
	}
	checkEqual(t, "visible processes", r.Processes, processes)
}

// checkMounts expects every mount of the spec, with its access.
func checkMounts(t *testing.T, s *specs.Spec, r report) {
	t.Helper()
	for _, m := range s.Mounts {
		options, ok := r.Mounts[m.Destination]
		if !ok {
			t.Errorf("%s is not mounted: %v", m.Destination, r.Mounts)
			continue
		}
		has := strings.Split(options, ",")
		for _, o := range []string{"ro", "nosuid", "nodev", "noexec"} {
			if slices.Contains(m.Options, o) && !slices.Contains(has, o) {
				t.Errorf("%s is mounted %s, want %s", m.Destination, options, o)
			}
		}
		switch m.Destination {
		case "/srv/log", "/dev/shm":
			checkEqual(t, "writing to "+m.Destination, r.CanWrite[m.Destination+"/probe"], true)
		case "/etc/app":
			checkEqual(t, "writing to "+m.Destination, r.CanWrite["/etc/app/probe"], false)
		case "/tree":
			checkEqual(t, "writing to a mount below a recursively read-only one", r.CanWrite["/tree/sub/probe"], false)
			checkEqual(t, "options of /tree/sub", strings.Split(r.Mounts["/tree/sub"], ",")[0], "ro")
		}
	}
	checkEqual(t, "writing to the root", r.CanWrite["/probe"], !s.Root.Readonly && s.Process.User.UID == 0)
}

// checkConfined expects what holds for every container that is not
// privileged.
func checkConfined(t *testing.T, in spec.Input, r report) {
	t.Helper()
	checkEqual(t, "Seccomp", r.Status["Seccomp"], "2")
	denied := syscall.EPERM.Error()
	if in.SeccompProfile != nil {
		denied = syscall.ENOSYS.Error()
	}
	checkEqual(t, "making a user namespace", r.NewUserNS, denied)
	checkEqual(t, "bytes of /proc/kcore", r.Kcore, 0)
	for _, path := range []string{"/proc/sys/kernel/core_pattern", "/sys/fs/cgroup/probe"} {
		checkEqual(t, "writing to "+path, r.CanWrite[path], false)
	}
}

// statusOf reads /proc/PID/status.
func statusOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	status := map[string]string{}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.Join(strings.Fields(value), " ")
	}
	return status
}

func checkPause(t *testing.T, pid int) {
	t.Helper()
	status := statusOf(t, pid)
	// Runc returns a moment before its child becomes the program.
	for deadline := time.Now().Add(10 * time.Second); status["Name"] != "podstead-pause"; status = statusOf(t, pid) {
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s the process is still %s", status["Name"])
		}
		time.Sleep(5 * time.Millisecond)
	}
	for key, want := range map[string]string{
		"Uid": "65535 65535 65535 65535", "Gid": "65535 65535 65535 65535", "Groups": "65535",
		"CapEff": bitmap(nil), "CapBnd": bitmap(nil), "NoNewPrivs": "1", "Seccomp": "2",
	} {
		checkEqual(t, "pause's "+key, status[key], want)
	}
}
