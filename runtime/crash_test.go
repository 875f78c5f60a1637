package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// halfStart makes the first steps of a start and stops there, as a podstead
// would that is killed.
func (h *host) halfStart(q pod.StartRequest, steps int) {
	h.t.Helper()
	ctx := h.scope(h.t.Context())
	l, err := h.plan(ctx, &q)
	if err != nil {
		h.t.Fatal(err)
	}
	create := &tasks.CreateTaskRequest{ContainerID: q.ID, Stdout: h.loggerURI(&l.record), Stderr: h.loggerURI(&l.record)}
	for _, step := range []func() error{
		func() error { _, err := h.client.ContainerService().Create(ctx, l.container); return err },
		func() error { return h.keepExitCode(ctx, q.ID) },
		func() error { m, err := h.snapshot(ctx, l); create.Rootfs = mountsOf(m); return err },
		func() error { return h.prepareFiles(q.ID, &l.record) },
		func() error { _, err := h.client.TaskService().Create(ctx, create); return err },
		func() error {
			_, err := h.client.TaskService().Start(ctx, &tasks.StartRequest{ContainerID: q.ID})
			return err
		},
	}[:steps] {
		if err := step(); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestStartIsFinishedWhereverItWasCutOff(t *testing.T) {
	h, img := newHostWithImage(t)
	for steps := 1; steps <= 6; steps++ {
		q := h.request(img, fmt.Sprintf("web-%d", steps), "wait")
		h.halfStart(q, steps)
		want := pod.StateCreated
		if steps == 6 {
			want = pod.StateRunning
		}
		if s := h.state(q.ID); s != want {
			t.Errorf("after %d steps it is %s, want %s", steps, s, want)
		}
		q.Sandbox.ID = "sandbox-2"
		c := h.start(q)
		if c.Started.IsZero() || c.LogPath == "" {
			t.Errorf("after %d steps: started %v, log %q", steps, c.Started, c.LogPath)
		}
		if again, _, _ := h.Observe(t.Context(), q.ID); again.Started.IsZero() {
			t.Errorf("after %d steps the start was not recorded", steps)
		}
		if steps < 5 && c.Sandbox != "sandbox-2" {
			t.Errorf("after %d steps it is in the sandbox %s of the first try", steps, c.Sandbox)
		}
	}
}

// killed ends a task that was made and not started, as containerd does when
// podstead dies while it waits for the task.
func (h *host) killed(q pod.StartRequest) {
	h.t.Helper()
	h.halfStart(q, 5)
	ctx := h.scope(h.t.Context())
	if _, err := h.client.TaskService().Kill(ctx, &tasks.KillRequest{ContainerID: q.ID, Signal: uint32(unix.SIGKILL)}); err != nil {
		h.t.Fatal(err)
	}
	h.await("the task has stopped", func() bool {
		t, err := h.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: q.ID})
		return err == nil && t.Process.Status == task.Status_STOPPED
	})
}

func TestWhatWasKilledBeforeItsStartNeverRan(t *testing.T) {
	h, img := newHostWithImage(t)
	again, gone := h.request(img, "again", "exit", "3"), h.request(img, "gone", "exit", "3")
	for _, q := range []pod.StartRequest{again, gone} {
		h.killed(q)
		if s := h.state(q.ID); s != pod.StateCreated {
			t.Errorf("it is %s, want %s", s, pod.StateCreated)
		}
	}
	if _, err := h.Start(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if dead := h.reap(again.ID); dead.Exit.Code != 3 {
		t.Errorf("exit is %+v", *dead.Exit)
	}
	if err := h.Remove(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	h.await("no shim is left", func() bool { return len(h.shims()) == 0 })
}

// letGo does what a shim does that is cut off in the middle of a start: the
// process begins, and nobody notes it.
func (h *host) letGo(q pod.StartRequest) {
	h.t.Helper()
	h.halfStart(q, 5)
	ctx := h.scope(h.t.Context())
	s, ok, err := h.look(ctx, q.ID)
	if err != nil || !ok {
		h.t.Fatal(ok, err)
	}
	if _, err := h.withStarted(ctx, s); err != nil {
		h.t.Fatal(err)
	}
	if got := h.state(q.ID); got != pod.StateCreated {
		h.t.Errorf("before its process begins it is %s, want %s", got, pod.StateCreated)
	}
	if _, err := os.ReadFile(filepath.Join(h.cfg.RuncRoot, h.cfg.Namespace, q.ID, "exec.fifo")); err != nil {
		h.t.Fatal(err)
	}
}

// A task that is shown as created and whose process has begun is ended and
// counted.
func TestStartThatWasCutOffCounts(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "begun", "wait")
	h.letGo(q)
	h.await("its process has begun", func() bool { return h.state(q.ID) == pod.StateExited })
	if err := h.Remove(t.Context(), q.ID); err == nil {
		t.Error("it was removed, and with it that it ran")
	}
	if c, err := h.Start(t.Context(), q); err != nil || c.State != pod.StateExited {
		t.Errorf("another start gives %s, %v, want it left as it is", c.State, err)
	}
	dead := h.reap(q.ID)
	if dead.State != pod.StateDead || dead.Exit.Reason != pod.ExitUnknown || dead.Exit.Code != 137 {
		t.Errorf("it is %s with %+v, want it dead with an unknown end", dead.State, dead.Exit)
	}
}

// An earlier try that was killed, and shows only when the task is to be made,
// is no run that ended.
func TestWhatWasKilledInBetweenNeverRan(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "between", "exit", "3")
	h.killed(q)
	ctx := h.scope(t.Context())
	l, err := h.plan(ctx, &q)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := h.launch(ctx, l, see(l.container, nil)); err == nil {
		t.Errorf("it was started: %+v", c)
	}
	if s := h.state(q.ID); s != pod.StateCreated {
		t.Errorf("it is %s, want %s", s, pod.StateCreated)
	}
	if _, err := h.Start(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if dead := h.reap(q.ID); dead.Exit.Code != 3 {
		t.Errorf("exit is %+v", *dead.Exit)
	}
}

func TestHalfMadeContainersCanBeRemoved(t *testing.T) {
	h, img := newHostWithImage(t)
	for steps := 1; steps <= 5; steps++ {
		q := h.request(img, fmt.Sprintf("web-%d", steps), "wait")
		h.halfStart(q, steps)
		if err := h.Remove(t.Context(), q.ID); err != nil {
			t.Fatalf("after %d steps: %v", steps, err)
		}
		h.checkGone(q.ID, h.linkPath(q.ID, &record{Instance: q.Instance, Name: q.Name}))
	}
}

func TestReapIsFinishedWhereverItWasCutOff(t *testing.T) {
	h, img := newHostWithImage(t)
	for _, taskGone := range []bool{false, true} {
		q := h.request(img, fmt.Sprintf("web-%v", taskGone), "message", "bye", "exit", "9")
		h.start(q)
		h.await("it has exited", func() bool { return h.state(q.ID) == pod.StateExited })
		ctx := h.scope(t.Context())
		s, _, err := h.look(ctx, q.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.write(ctx, q.ID, partExit, h.ended(&s, cgroup{})); err != nil {
			t.Fatal(err)
		}
		if taskGone {
			if err := h.deleteTask(ctx, q.ID); err != nil {
				t.Fatal(err)
			}
		}
		if dead := h.reap(q.ID); dead.Exit.Code != 9 || dead.Exit.Message != "bye" || len(dead.Exit.LogTail) != 2 {
			t.Errorf("task gone %v: exit is %+v", taskGone, *dead.Exit)
		}
	}
}

func TestLostExitCodeIsNotGuessed(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.start(q)
	for _, pid := range h.shims() {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	dead := h.reap(q.ID)
	if dead.Exit.Reason != pod.ExitUnknown || dead.Exit.Code != 137 {
		t.Errorf("exit is %+v", *dead.Exit)
	}
}

func TestContainersOutliveContainerd(t *testing.T) {
	h, img := newHostWithImage(t)
	stay, leave := h.request(img, "stay", "wait"), h.request(img, "leave", "until", "/go", "exit", "5")
	p := h.request(img, "grouped", "wait").Pod
	p.Spec.Containers = append(p.Spec.Containers, *p.Spec.Containers[0].DeepCopy())
	p.Spec.Containers[1].Name, p.Spec.Containers[1].Args = "side", []string{"until", "/go", "exit", "6"}
	app, side := h.requestOf(img, p, "app", 0), h.requestOf(img, p, "side", 0)
	before := map[string]pod.Container{}
	for _, q := range []pod.StartRequest{stay, leave, app, side} {
		before[q.ID] = h.start(q)
	}
	h.endWhileDown(before[leave.ID], before[side.ID])

	for _, id := range []string{stay.ID, app.ID} {
		c, _, err := h.Observe(t.Context(), id)
		if err != nil || c.State != pod.StateRunning || c.PID != before[id].PID {
			t.Errorf("%s was %d and is %s, %d, %v", c.Name, before[id].PID, c.State, c.PID, err)
		}
	}
	for id, code := range map[string]int{leave.ID: 5, side.ID: 6} {
		if dead := h.reap(id); dead.Exit.Code != code || dead.Exit.Reason != pod.ExitError {
			t.Errorf("exit is %+v, want code %d", *dead.Exit, code)
		}
	}
}

// endWhileDown kills containerd, ends containers before the next one can see
// it, and waits for that one.
func (h *host) endWhileDown(list ...pod.Container) {
	h.t.Helper()
	// The supervisor's next containerd waits for the lock on its database.
	pid := h.server.Status().PID
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		h.t.Fatal(err)
	}
	for _, c := range list {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/root/go", c.PID), nil, 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	for _, c := range list {
		h.await("it ended while containerd was stopped", func() bool {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.PID))
			return err != nil || strings.Contains(string(b), ") Z")
		})
	}
	h.kill9()
}

func TestWatchComesBackWithContainerd(t *testing.T) {
	h, img := newHostWithImage(t)
	seen := make(chan string, 1000)
	h.run(func(ctx context.Context) error { return h.Watch(ctx, func(id string) { seen <- id }) })
	awaitID(t, seen, "")
	h.kill9()
	awaitID(t, seen, "")
	q := h.request(img, "web", "exit", "0")
	h.start(q)
	awaitID(t, seen, q.ID)
}

func TestContainerdDownIsUnavailable(t *testing.T) {
	r, err := New(Config{Address: t.TempDir() + "/none.sock", NodeID: "n", BootID: "b", Now: now, RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: t.TempDir(), cgroup: "/none"}
	h.run(r.Run)
	ctx := t.Context()
	q := h.request(pod.Image{Ref: "a", Digest: "sha256:" + strings.Repeat("0", 64)}, "web")
	for name, f := range map[string]func() error{
		"list":    func() error { _, err := r.List(ctx); return err },
		"observe": func() error { _, _, err := r.Observe(ctx, "x"); return err },
		"start":   func() error { _, err := r.Start(ctx, q); return err },
		"stop":    func() error { return r.Stop(ctx, "x", pod.Stopping{}) },
		"kill":    func() error { return r.Kill(ctx, "x") },
		"reap":    func() error { _, err := r.Reap(ctx, "x"); return err },
		"remove":  func() error { return r.Remove(ctx, "x") },
		"resize":  func() error { return r.Resize(ctx, "x", &specs.LinuxResources{}) },
		"record":  func() error { return r.Record(ctx, "x", q.Pod, q.Origin) },
		"lookup":  func() error { _, _, err := r.Lookup(ctx, "nginx"); return err },
		"pull":    func() error { _, err := r.Pull(ctx, "nginx", nil); return err },
		"import":  func() error { _, err := r.Import(ctx, built.archive); return err },
		"exec":    func() error { _, err := r.Exec(ctx, "x", ExecRequest{}); return err },
		"version": func() error { _, err := r.Version(ctx); return err },
	} {
		if err := f(); !errors.Is(err, pod.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatAKilledProcessLeasedIsSwept(t *testing.T) {
	h, img := newHostWithImage(t)
	killed := h.another(func(*Config) {})
	ctx, _, err := killed.lease(h.scope(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	info, err := h.info(ctx, img)
	if err != nil {
		t.Fatal(err)
	}
	snapshots := h.client.SnapshotService(h.cfg.Snapshotter)
	if _, err := snapshots.View(ctx, "left-over", info.chainID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := killed.leaseForPull(h.scope(t.Context()), "example.com/half:1"); err != nil {
		t.Fatal(err)
	}
	_, done, err := h.lease(h.scope(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.sweepLeases(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := snapshots.Stat(h.scope(t.Context()), "left-over"); !isNotFound(err) {
		t.Errorf("what the dead one leased: %v, want not found", err)
	}
	if got := h.leaseIDs(); len(got) != 2 {
		t.Errorf("leases %v, want ours and that of the pull", got)
	}
	done()
	if got := h.leaseIDs(); len(got) != 1 || !strings.HasPrefix(got[0], pullLease) {
		t.Errorf("leases %v, want that of the pull", got)
	}
}

func TestLeasesAreSweptWithEachConnection(t *testing.T) {
	h := newHost(t)
	killed := h.another(func(*Config) {})
	if _, _, err := killed.lease(h.scope(t.Context())); err != nil {
		t.Fatal(err)
	}
	h.kill9()
	h.await("the lease is swept", func() bool { return len(h.leaseIDs()) == 0 })
}

func (h *host) leaseIDs() (ids []string) {
	h.t.Helper()
	all, err := h.client.LeasesService().List(h.scope(h.t.Context()))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, l := range all {
		ids = append(ids, l.ID)
	}
	return ids
}
