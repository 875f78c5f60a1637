package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

// orphan starts a shim for a pod as a containerd does that is killed right
// then: nobody ever reads its log, so it listens and never answers.
func (h *host) orphan(uid types.UID) {
	h.t.Helper()
	h.bundle(h.path("orphan"), uid)
	h.startShim(h.path("orphan"), "orphan")
	if len(h.shims()) != 1 || !listens(h.socketPath(uid)) {
		h.t.Fatalf("shims %v, one has to listen at the pod's socket", h.shims())
	}
}

// halfMade is a task of which a containerd that was killed had made nothing
// but the shim, as the next containerd finds it.
func (h *host) halfMade(q pod.StartRequest) {
	h.t.Helper()
	bundle := h.path("state/io.containerd.runtime.v2.task/" + h.cfg.Namespace + "/" + q.ID)
	h.bundle(bundle, q.UID)
	log, err := os.OpenFile(filepath.Join(bundle, "log"), os.O_RDWR, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer log.Close()
	h.startShim(bundle, q.ID)
	params := fmt.Sprintf(`{"version":3,"address":"unix://%s","protocol":"ttrpc"}`, h.socketPath(q.UID))
	if err := os.WriteFile(filepath.Join(bundle, "bootstrap.json"), []byte(params), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.kill9()
	if _, err := h.client.TaskService().Create(h.scope(h.t.Context()), &tasks.CreateTaskRequest{ContainerID: q.ID}); !isAlreadyExists(err) {
		h.t.Fatalf("make the task again: %v, want that it exists", err)
	}
	if s := h.state(q.ID); s != pod.StateCreated {
		h.t.Fatalf("it is %q, want that no task is seen", s)
	}
}

// bundle makes the folder that a shim needs to start.
func (h *host) bundle(dir string, uid types.UID) {
	h.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		h.t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"annotations": map[string]string{spec.GroupAnnotation: string(uid)}})
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "log"), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) startShim(bundle, id string) {
	h.t.Helper()
	cmd := exec.Command(filepath.Join(filepath.Dir(built.containerd), "containerd-shim-runc-v2"),
		"-namespace", h.cfg.Namespace, "-id", id, "-address", h.path("c.sock"), "start")
	cmd.Dir = bundle
	cmd.Env = append(os.Environ(), "GRPC_ADDRESS="+h.path("c.sock"), "TTRPC_ADDRESS="+h.path("c.sock.ttrpc"))
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("start a shim: %v: %s", err, out)
	}
}

func TestATaskThatIsHalfMadeIsMadeAnew(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "exit", "3")
	h.halfStart(q, 4)
	h.halfMade(q)
	h.noteShim(q.UID, true) // that it may be an orphan is another test
	c, err := h.Start(t.Context(), q)
	if err != nil || c.State != pod.StateRunning {
		t.Fatalf("started: %s, %v", c.State, err)
	}
	if dead := h.reap(q.ID); dead.Exit.Code != 3 {
		t.Errorf("exit is %+v", *dead.Exit)
	}
}

func TestABundleThatContainerdCannotRemoveIsRemoved(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "exit", "3")
	folder := h.path("state/io.containerd.runtime.v2.task/" + h.cfg.Namespace)
	for _, name := range []string{q.ID, "." + q.ID} {
		if err := os.MkdirAll(filepath.Join(folder, name, "rootfs"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Start(t.Context(), q); err == nil {
		t.Error("a folder on which containerd may be at work was taken for dead")
	}
	before := time.Now().Add(-time.Minute)
	if err := os.Chtimes(filepath.Join(folder, q.ID), before, before); err != nil {
		t.Fatal(err)
	}
	h.start(q)
	if dead := h.reap(q.ID); dead.Exit.Code != 3 {
		t.Errorf("exit is %+v", *dead.Exit)
	}
	if err := h.Remove(t.Context(), q.ID); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("bundles %v, %v, want none", left, err)
	}
}

func TestOnlyTheBundleOfTheContainerIsTakenForDead(t *testing.T) {
	h := newHost(t)
	for text, want := range map[string]bool{
		"mkdir /run/c/io.containerd.runtime.v2.task/podstead/web: file exists":             true,
		"mkdir /run/c/io.containerd.runtime.v2.task/podstead/other: file exists":           false,
		"mkdir /run/c/io.containerd.runtime.v2.task/foreign/web: file exists":              false,
		"mkdir io.containerd.runtime.v2.task/podstead/web: file exists":                    false,
		"mkdir /x/../run/io.containerd.runtime.v2.task/podstead/web: file exists":          false,
		"mkdir /run/c/io.containerd.runtime.v2.task/podstead/web: no space left on device": false,
		"stat /run/c/io.containerd.runtime.v2.task/podstead/web: file exists":              false,
	} {
		if dir, got := h.deadBundle("web", errors.New(text)); got != want {
			t.Errorf("%s: %s, %v", text, dir, got)
		}
	}
}

func TestATaskThatIsHalfMadeIsRemoved(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.halfStart(q, 4)
	h.halfMade(q)
	// The pod has another container, so its shim is left alone.
	h.halfStart(h.requestOf(img, q.Pod, "app", 1), 1)
	if err := h.Remove(t.Context(), q.ID); err != nil {
		t.Fatal(err)
	}
	h.await("no shim is left", func() bool { return len(h.shims()) == 0 })
	if _, err := h.client.TaskService().Create(h.scope(t.Context()), &tasks.CreateTaskRequest{ContainerID: q.ID}); isAlreadyExists(err) {
		t.Error("containerd still holds the task")
	}
}

func TestAShimThatNobodyKnowsIsNoObstacle(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "exit", "3")
	h.orphan(q.UID)
	h.start(q)
	if dead := h.reap(q.ID); dead.Exit.Code != 3 {
		t.Errorf("exit is %+v", *dead.Exit)
	}
	if err := h.Remove(t.Context(), q.ID); err != nil {
		t.Fatal(err)
	}
	h.await("no shim is left", func() bool { return len(h.shims()) == 0 })
}

func TestAShimThatNobodyKnowsGoesWithThePod(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web")
	q.Pod.Spec.Containers[0].Command = []string{"/nope"}
	if c, err := h.Start(t.Context(), q); err != nil || c.State != pod.StateDead {
		t.Fatalf("%v, %v", c.State, err)
	}
	h.await("its shim has ended", func() bool { return len(h.shims()) == 0 })
	h.orphan(q.UID)
	if err := h.Remove(t.Context(), q.ID); err != nil {
		t.Fatal(err)
	}
	h.await("no shim is left", func() bool { return len(h.shims()) == 0 })
	if _, err := os.Lstat(h.socketPath(q.UID)); !os.IsNotExist(err) {
		t.Errorf("its socket: %v", err)
	}
}

// TestWhatRuncAloneKnowsIsRemoved: when the creation of a task was given up
// while runc was at it, containerd has no task and runc a container. On a slow
// server containerd's own attempt to remove it is cut off as well.
func TestWhatRuncAloneKnowsIsRemoved(t *testing.T) {
	h, _ := newHostWithImage(t)
	h.createByRunc("half-made")
	state := h.runcState("half-made")
	if !h.atRest(state) {
		t.Fatalf("%s was made a while ago and is not at rest", state)
	}
	if err := h.removeFromRunc(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(state); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", state, err)
	}
	taken := errors.New("failed to create shim task: OCI runtime create failed: runc create failed: container with given ID already exists")
	if !isKnownToRunc(taken) || isKnownToRunc(errors.New("OCI runtime create failed: no such file")) {
		t.Error("what runc says is not understood")
	}
}

// createByRunc makes a container that waits for its start, a while ago.
func (h *host) createByRunc(id string) {
	h.t.Helper()
	bundle, state := h.t.TempDir(), h.runcState(id)
	text, err := json.Marshal(specs.Spec{
		Version: "1.0.2", Process: &specs.Process{Args: []string{"/nothing"}, Cwd: "/"}, Root: &specs.Root{Path: "rootfs"},
		Mounts: []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Linux:  &specs.Linux{CgroupsPath: h.cgroup + "/half-made", Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}}},
	})
	if err := errors.Join(err, os.Mkdir(filepath.Join(bundle, "rootfs"), 0o755),
		os.WriteFile(filepath.Join(bundle, "rootfs/nothing"), nil, 0o755), os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600)); err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command("runc", "--root", filepath.Dir(state), "create", "--bundle", bundle, id)
	// No pipe: what it starts would keep it open.
	said, err := os.Create(filepath.Join(bundle, "said"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer said.Close()
	cmd.Stderr = said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		h.t.Fatalf("runc create: %v: %s", err, text)
	}
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(state, old, old); err != nil {
		h.t.Fatal(err)
	}
}

func TestAShimIsForgottenWithItsPod(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.orphan(q.UID)
	if err := h.Forget(t.Context(), q.UID); err != nil {
		t.Fatal(err)
	}
	h.await("the shim that nobody knows has ended", func() bool { return len(h.shims()) == 0 })
	h.start(q)
	if err := h.Forget(t.Context(), q.UID); err != nil {
		t.Fatal(err)
	}
	if n := len(h.shims()); n != 1 {
		t.Errorf("%d shims, want that of a container which is recorded to stay", n)
	}
}

func TestAShimWithTasksStays(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.start(q)
	// Another podstead knows nothing of the shim.
	other := h.another(func(*Config) {})
	if err := other.makeWay(other.scope(t.Context()), q.UID); err != nil {
		t.Fatal(err)
	}
	if s := h.state(q.ID); s != pod.StateRunning || len(h.shims()) != 1 {
		t.Errorf("it is %s with shims %v", s, h.shims())
	}
}
