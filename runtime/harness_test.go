package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/containerd"
	"github.com/podstead/podstead/runtime/spec"
)

// deadline bounds every wait of the tests.
const deadline = 30 * time.Second

// programs are what the tests run, made once for all of them.
type programs struct {
	dir, containerd, logger, pauseRoot string
	// archive holds the image example.com/guest:1.
	archive string
	image   v1.Image
}

var built programs

func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		fmt.Println("these tests run containers and need root")
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "pst") // a socket in it must have a short path
	if err == nil {
		built, err = build(dir)
	}
	if err != nil {
		fmt.Println(err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) (programs, error) {
	p := programs{dir: dir, logger: filepath.Join(dir, "podstead-logger"), pauseRoot: filepath.Join(dir, "pause")}
	bin := os.Getenv("PODSTEAD_BIN")
	if bin == "" {
		bin, _ = filepath.Abs("../bin")
	}
	p.containerd = filepath.Join(bin, "containerd")
	for _, name := range []string{"containerd", "containerd-shim-runc-v2"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return p, fmt.Errorf("%w: build it with make, or say with PODSTEAD_BIN where it is", err)
		}
	}
	guest := filepath.Join(dir, "guest")
	for from, to := range map[string]string{
		"../cmd/podstead-logger": p.logger,
		"../cmd/podstead-pause":  filepath.Join(p.pauseRoot, "podstead-pause"),
		"./testdata/guest":       guest,
	} {
		cmd := exec.Command("go", "build", "-o", to, from)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("build %s: %w: %s", from, err, out)
		}
	}
	var err error
	if p.image, err = guestImage(guest); err != nil {
		return p, err
	}
	p.archive = filepath.Join(dir, "guest.tar")
	return p, writeArchive(p.archive, "example.com/guest:1", p.image)
}

// guestImage has everything an image can have that podstead must not obey.
func guestImage(program string) (v1.Image, error) {
	layer, err := tarball.LayerFromOpener(tarOf(map[string]string{"guest": program}, map[string]string{
		"etc/passwd": "root:x:0:0::/:/\nweb:x:1234:1235::/:/\n", "etc/group": "web:x:1235:\n", "notexec": "text",
	}))
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, withConfig(img, v1.Config{
		Entrypoint: []string{"/guest"},
		StopSignal: "SIGUSR1",
		Labels: map[string]string{
			"containerd.io/restart.status": "running",
			"containerd.io/restart.loguri": "binary:///bin/true",
		},
	}))
}

// host is a containerd of its own with a Runtime on it.
type host struct {
	*Runtime
	t      testing.TB
	dir    string
	server *containerd.Server
	cgroup string
	// uids are those of all pods of which a container was asked for.
	uids map[types.UID]bool
}

// newHost starts containerd and ends everything of it when the test ends.
func newHost(t testing.TB, change ...func(*Config)) *host {
	t.Helper()
	dir, err := os.MkdirTemp("", "pst") //nolint:usetesting // a socket in it must have a short path
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: dir, cgroup: "/podstead-test-" + filepath.Base(dir), uids: map[types.UID]bool{}}
	h.server = containerd.NewServer(containerd.Config{
		Binary: built.containerd, ShimDir: filepath.Dir(built.containerd),
		Root: h.path("root"), State: h.path("state"), Socket: h.path("c.sock"),
		ConfigFile: h.path("config.toml"), PIDFile: h.path("pid"), LogFile: h.path("log"),
	})
	t.Cleanup(h.end)
	h.run(h.server.Run)
	cfg := Config{
		Address: h.path("c.sock"), NodeID: "node-1", BootID: "boot-1", Now: now,
		RunDir: h.path("run"), LogDir: h.path("logs"), LinksDir: h.path("links"),
		LoggerPath: built.logger, RuncRoot: h.path("runc"), PauseRootfs: built.pauseRoot,
		Host: spec.Host{Seccomp: true},
	}
	for _, f := range change {
		f(&cfg)
	}
	h.Runtime, err = New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.run(h.Run)
	h.await("containerd answers", func() bool { _, err := h.Version(t.Context()); return err == nil })
	return h
}

// newHostWithImage has the guest image, too.
func newHostWithImage(t testing.TB, change ...func(*Config)) (*host, pod.Image) {
	h := newHost(t, change...)
	list, err := h.Import(t.Context(), built.archive)
	if err != nil {
		t.Fatal(err)
	}
	return h, list[0]
}

// another is a second client of the same containerd.
func (h *host) another(change func(*Config)) *Runtime {
	h.t.Helper()
	cfg := h.cfg
	change(&cfg)
	r, err := New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.run(r.Run)
	return r
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// run runs f until the test ends.
func (h *host) run(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
}

func (h *host) await(what string, f func() bool) {
	h.t.Helper()
	for end := time.Now().Add(deadline); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			log, _ := os.ReadFile(h.path("log"))
			h.t.Fatalf("not within %s: %s\n%s", deadline, what, log)
		}
	}
}

// end takes everything away, whatever state the test left it in. It runs after
// the loops were stopped.
func (h *host) end() {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	h.killCgroups(ctx)
	h.killShims()
	if err := h.server.Stop(ctx); err != nil {
		h.t.Error(err)
	}
	h.killShims()
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[1]; strings.HasPrefix(at, h.dir+"/") {
			_ = unix.Unmount(at, unix.MNT_DETACH)
		}
	}
	h.removeCgroups()
	for uid := range h.uids {
		_ = os.Remove(h.socketPath(uid))
	}
	if err := os.RemoveAll(h.dir); err != nil {
		h.t.Error(err)
	}
}

func (h *host) killCgroups(ctx context.Context) {
	for _, dir := range h.cgroupDirs() {
		if err := (cgroup{dirs: []string{dir}}).empty(ctx); err != nil {
			h.t.Error(err)
		}
	}
}

func (h *host) cgroupDirs() (dirs []string) {
	found, _ := filepath.Glob("/sys/fs/cgroup/*" + h.cgroup)
	own, _ := filepath.Glob("/sys/fs/cgroup" + h.cgroup)
	return append(found, own...)
}

func (h *host) removeCgroups() {
	for _, dir := range h.cgroupDirs() {
		var all []string
		_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		for _, a := range slices.Backward(all) {
			_ = os.Remove(a)
		}
	}
}

// shims lists the shims of this host by their command lines.
func (h *host) shims() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		if line := string(b); strings.Contains(line, "containerd-shim") && strings.Contains(line, h.path("c.sock")) {
			var pid int
			if _, err := fmt.Sscanf(f, "/proc/%d/cmdline", &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func (h *host) killShims() {
	for _, pid := range h.shims() {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// kill9 kills containerd and returns when it is gone; its supervisor starts
// another one.
func (h *host) kill9() {
	h.t.Helper()
	pid := h.server.Status().PID
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	h.await("another containerd answers", func() bool {
		s := h.server.Status()
		if s.PID == 0 || s.PID == pid {
			return false
		}
		_, err := h.Version(h.t.Context())
		return err == nil
	})
}

// request asks for a run of the only container of a pod that shares the
// host's namespaces, so that no sandbox is needed.
func (h *host) request(img pod.Image, name string, args ...string) pod.StartRequest {
	p := &corev1.Pod{}
	p.Namespace, p.Name = "shop", name
	p.Spec.HostNetwork, p.Spec.HostIPC = true, true
	p.Spec.Containers = []corev1.Container{{
		Name: "app", Image: img.Ref, Args: args, TerminationMessagePath: "/dev/termination-log",
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}}
	return h.requestOf(img, p, "app", 0)
}

func (h *host) requestOf(img pod.Image, p *corev1.Pod, container string, attempt int) pod.StartRequest {
	i := pod.Instance{Key: pod.Key{Namespace: p.Namespace, Name: p.Name}, Number: 1}
	uid := pod.UID("node-1", i)
	if h.uids != nil {
		h.uids[uid] = true
	}
	files := h.path("files-" + string(uid))
	if err := os.MkdirAll(files, 0o755); err != nil {
		h.t.Fatal(err)
	}
	id := pod.ContainerID(uid, container, attempt)
	return pod.StartRequest{
		ID: id, Instance: i, UID: uid, Name: container, Role: pod.RoleOf(p, container), Attempt: attempt,
		Pod: p, Origin: pod.Origin{File: "/etc/pods/" + p.Name + ".yaml"}, Image: img,
		Sandbox:    pod.Sandbox{Instance: i, UID: types.UID(uid), ID: "sandbox-1", Ready: true, FilesDir: files},
		CgroupPath: h.cgroup + "/pod" + string(uid) + "/" + id,
		Node:       pod.Node{ID: "node-1"},
	}
}

// start starts a container that has to run afterwards.
func (h *host) start(q pod.StartRequest) pod.Container {
	h.t.Helper()
	c, err := h.Start(h.t.Context(), q)
	if err != nil {
		h.t.Fatal(err)
	}
	if c.State != pod.StateRunning || c.PID == 0 {
		h.t.Fatalf("started container is %+v, exit %+v", c.State, c.Exit)
	}
	return c
}

// state is what is observed of a container, "" when it is gone.
func (h *host) state(id string) pod.ContainerState {
	h.t.Helper()
	c, ok, err := h.Observe(h.t.Context(), id)
	if errors.Is(err, pod.ErrUnavailable) {
		return pod.StateUnknown
	}
	if err != nil {
		h.t.Fatal(err)
	}
	if !ok {
		return ""
	}
	return c.State
}

// reap waits for the end of a container and collects it.
func (h *host) reap(id string) pod.Container {
	h.t.Helper()
	h.await("container has exited", func() bool { return h.state(id) == pod.StateExited })
	c, err := h.Reap(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	if c.State != pod.StateDead || c.Exit == nil {
		h.t.Fatalf("reaped container is %s with %+v", c.State, c.Exit)
	}
	return c
}

func now() pod.Stamp {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return pod.Stamp{Moment: pod.Moment(ts.Nano()), Wall: time.Now()}
}
