package runtime

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

func TestLifecycle(t *testing.T) {
	h, img := newHostWithImage(t)
	seen := make(chan string, 1000)
	h.run(func(ctx context.Context) error { return h.Watch(ctx, func(id string) { seen <- id }) })
	awaitID(t, seen, "")

	q := h.request(img, "web", "message", "out of eggs", "exit", "7")
	q.Failures = 3
	started := h.start(q)
	awaitID(t, seen, q.ID)
	ended := h.reap(q.ID)

	if ended.Exit.Code != 7 || ended.Exit.Reason != pod.ExitError || ended.Exit.Message != "out of eggs" {
		t.Errorf("exit is %+v", *ended.Exit)
	}
	if want := []string{"guest begins", "guest ends"}; !cmp.Equal(want, ended.Exit.LogTail) {
		t.Errorf("log tail is %q, want %q", ended.Exit.LogTail, want)
	}
	if at := ended.Exit.At.Moment; at < started.Started.Moment-pod.Moment(time.Second) || at > now().Moment {
		t.Errorf("exit at %v, started at %v", at, started.Started.Moment)
	}
	checkRecord(t, q, ended)
	h.checkListed(ended)
	link := h.linkPath(q.ID, &record{Instance: q.Instance, Name: "app"})
	if b, err := os.ReadFile(link); err != nil || !strings.Contains(string(b), "guest ends") {
		t.Errorf("log behind %s is %q, %v", link, b, err)
	}
	if err := h.Remove(t.Context(), q.ID); err != nil {
		t.Fatal(err)
	}
	h.checkGone(q.ID, link)
	if _, err := os.Stat(ended.LogPath); err != nil {
		t.Errorf("the log went with the container: %v", err)
	}
}

func awaitID(t *testing.T, seen <-chan string, want string) {
	t.Helper()
	timeout := time.After(deadline)
	for {
		select {
		case id := <-seen:
			if id == want {
				return
			}
		case <-timeout:
			t.Fatalf("no change of %q was told", want)
		}
	}
}

// checkRecord compares what is remembered of a container with what was asked.
func checkRecord(t *testing.T, q pod.StartRequest, c pod.Container) {
	t.Helper()
	got := pod.StartRequest{
		ID: c.ID, Instance: c.Instance, UID: c.UID, Name: c.Name, Role: c.Role, Attempt: c.Attempt,
		Failures: c.Failures, Pod: c.Pod, Origin: c.Origin, Image: c.Image, CgroupPath: c.CgroupPath,
	}
	want := q
	want.Sandbox, want.Node, want.Resources = got.Sandbox, got.Node, got.Resources
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if c.Sandbox != q.Sandbox.ID {
		t.Errorf("sandbox is %q", c.Sandbox)
	}
}

func (h *host) checkListed(want ...pod.Container) {
	h.t.Helper()
	list, err := h.List(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if len(list) != len(want) {
		h.t.Fatalf("%d containers are listed, want %d", len(list), len(want))
	}
	for i := range want {
		if diff := cmp.Diff(want[i], list[i]); diff != "" {
			h.t.Errorf("listed (-want +got):\n%s", diff)
		}
	}
}

// checkGone looks for everything that a container may leave.
func (h *host) checkGone(id, link string) {
	h.t.Helper()
	ctx := h.scope(h.t.Context())
	if s := h.state(id); s != "" {
		h.t.Errorf("container is %s", s)
	}
	if _, err := h.client.SnapshotService(h.cfg.Snapshotter).Stat(ctx, id); !isNotFound(err) {
		h.t.Errorf("snapshot: %v", err)
	}
	if _, err := h.client.SandboxStore().Get(ctx, id); !isNotFound(err) && !isNotImplemented(err) {
		h.t.Errorf("sandbox record: %v", err)
	}
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		h.t.Errorf("link: %v", err)
	}
	h.await("no shim is left", func() bool { return len(h.shims()) == 0 })
	for uid := range h.uids {
		if _, err := os.Lstat(h.socketPath(uid)); !os.IsNotExist(err) {
			h.t.Errorf("socket of the shim: %v", err)
		}
	}
}

func TestEveryOperationMayBeRepeated(t *testing.T) {
	h, img := newHostWithImage(t)
	ctx := t.Context()
	q := h.request(img, "web", "usr1")
	first := h.start(q)
	if again := h.start(q); !cmp.Equal(first, again) {
		t.Errorf("the second start answers (-first +second):\n%s", cmp.Diff(first, again))
	}
	if err := h.Remove(ctx, q.ID); err == nil {
		t.Error("a running container was removed")
	}
	if _, err := h.Reap(ctx, q.ID); err == nil {
		t.Error("a running container was reaped")
	}
	for range 2 {
		if err := h.Kill(ctx, q.ID); err != nil {
			t.Fatal(err)
		}
	}
	dead := h.reap(q.ID)
	if dead.Exit.Code != 137 || dead.Exit.Signal != 9 || dead.Exit.Reason != pod.ExitError {
		t.Errorf("exit is %+v", *dead.Exit)
	}
	again, err := h.Reap(ctx, q.ID)
	if diff := cmp.Diff(dead, again); diff != "" || err != nil {
		t.Errorf("the second reap (-first +second):\n%s%v", diff, err)
	}
	if late, err := h.Start(ctx, q); err != nil || late.State != pod.StateDead {
		t.Errorf("a start after the end answers %s, %v", late.State, err)
	}
	for range 2 {
		if err := h.Remove(ctx, q.ID); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]func() error{
		"stop": func() error { return h.Stop(ctx, q.ID, pod.Stopping{Since: now(), Signalled: now()}) },
		"kill": func() error { return h.Kill(ctx, q.ID) },
	} {
		if err := f(); err != nil {
			t.Errorf("%s of a container that is gone: %v", name, err)
		}
	}
}

func TestStopIsRecordedBeforeItsSignal(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "usr1")
	c := h.start(q)
	h.awaitLog(c, "ready")
	intent := pod.Stopping{Since: now(), Scope: pod.StopPod, Grace: 30 * time.Second, Reason: "its manifest was removed"}
	if err := h.Stop(t.Context(), q.ID, intent); err != nil {
		t.Fatal(err)
	}
	c, _, err := h.Observe(t.Context(), q.ID)
	if err != nil || c.State != pod.StateRunning || c.Stopping == nil {
		t.Fatalf("after the intent: %s, %+v, %v", c.State, c.Stopping, err)
	}
	intent.Signalled = now()
	if err := h.Stop(t.Context(), q.ID, intent); err != nil {
		t.Fatal(err)
	}
	dead := h.reap(q.ID)
	if dead.Exit.Code != 42 {
		t.Errorf("code %d: the image's STOPSIGNAL did not arrive", dead.Exit.Code)
	}
	want := *dead.Stopping
	want.Scope, want.Grace, want.Reason = intent.Scope, intent.Grace, intent.Reason
	if diff := cmp.Diff(want, *dead.Stopping); diff != "" || want.Signalled.Moment < intent.Signalled.Moment {
		t.Errorf("recorded stop (-want +got):\n%s, signalled at %v", diff, want.Signalled)
	}
}

func (h *host) awaitLog(c pod.Container, line string) {
	h.t.Helper()
	h.await("the log has "+line, func() bool {
		b, _ := os.ReadFile(c.LogPath)
		return strings.Contains(string(b), line)
	})
}

func TestMomentsOfAnotherBootAreZero(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	started := h.start(q)
	if err := h.Stop(t.Context(), q.ID, pod.Stopping{Since: now(), Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	later := h.another(func(c *Config) { c.BootID = "boot-2" })
	c, _, err := later.Observe(t.Context(), q.ID)
	if err != nil {
		t.Fatal(err)
	}
	if c.Started.Moment != 0 || c.Created.Moment != 0 || c.Stopping.Since.Moment != 0 {
		t.Errorf("moments are %v, %v, %v", c.Created, c.Started, c.Stopping.Since)
	}
	if !c.Started.Wall.Equal(started.Started.Wall) || started.Started.Moment == 0 {
		t.Errorf("started %v, was %v", c.Started, started.Started)
	}
}

func TestOthersContainersAreNotOurs(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.start(q)
	other := h.another(func(c *Config) { c.NodeID = "node-2" })
	list, err := other.List(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("another node lists %v, %v", list, err)
	}
	if _, ok, err := other.Observe(t.Context(), q.ID); ok || err != nil {
		t.Errorf("another node sees it: %v, %v", ok, err)
	}
	if err := other.Remove(t.Context(), q.ID); err != nil || h.state(q.ID) != pod.StateRunning {
		t.Errorf("another node's remove: %v; it is %s", err, h.state(q.ID))
	}
}

func TestUnreadableRecordHasNoPod(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.start(q)
	if err := h.write(h.scope(t.Context()), q.ID, partRecord, "no record"); err != nil {
		t.Fatal(err)
	}
	list, err := h.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("list: %v, %v", list, err)
	}
	c := list[0]
	if c.Pod != nil || c.State != pod.StateRunning || c.Instance != q.Instance || c.UID != q.UID || c.Name != "app" {
		t.Errorf("container is %+v", c)
	}
}

func TestImageLabelsStayWithTheImage(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.start(q)
	c, err := h.client.ContainerService().Get(h.scope(t.Context()), q.ID)
	if err != nil {
		t.Fatal(err)
	}
	for key := range c.Labels {
		if !strings.HasPrefix(key, "podstead.dev/") {
			t.Errorf("container bears label %q", key)
		}
	}
	if strings.Contains(string(c.Spec.GetValue()), "containerd.io/restart") {
		t.Error("the spec repeats a label of the image")
	}
}

func TestContainersOfAPodShareAShim(t *testing.T) {
	h, img := newHostWithImage(t)
	p := h.request(img, "web", "wait").Pod
	p.Spec.Containers = append(p.Spec.Containers, *p.Spec.Containers[0].DeepCopy())
	p.Spec.Containers[1].Name = "side"
	a, b := h.start(h.requestOf(img, p, "app", 0)), h.start(h.requestOf(img, p, "side", 0))
	if shims := h.shims(); len(shims) != 1 {
		t.Errorf("%d shims run, want 1", len(shims))
	}
	if err := h.Kill(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	h.reap(a.ID)
	if err := h.Remove(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	if !listens(h.socketPath(a.UID)) {
		t.Error("the shim's socket went with one of its containers")
	}
	if err := unix.Kill(b.PID, 0); err != nil || h.state(b.ID) != pod.StateRunning {
		t.Errorf("the other container is %s, %v", h.state(b.ID), err)
	}
}
