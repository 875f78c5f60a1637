package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

func TestProcessThatCannotBeStarted(t *testing.T) {
	h, img := newHostWithImage(t)
	for i, command := range []string{"/nope", "nope", "/notexec", "/etc"} {
		q := h.request(img, fmt.Sprintf("web-%d", i))
		q.Pod.Spec.Containers[0].Command = []string{command}
		c, err := h.Start(t.Context(), q)
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		if c.State != pod.StateDead || c.Exit == nil || c.Exit.Code != 128 || c.Exit.Reason != pod.ExitStartError {
			t.Fatalf("%s: %s with %+v", command, c.State, c.Exit)
		}
		if m := c.Exit.Message; !strings.Contains(m, command) || strings.Contains(m, "OCI runtime") {
			t.Errorf("%s: the message is %q", command, m)
		}
		if s := h.state(q.ID); s != pod.StateDead {
			t.Errorf("%s: it is observed as %s", command, s)
		}
		if err := h.Remove(t.Context(), q.ID); err != nil {
			t.Error(err)
		}
	}
	h.await("no shim is left", func() bool { return len(h.shims()) == 0 })
}

func TestOOMIsReportedEveryTime(t *testing.T) {
	h, img := newHostWithImage(t)
	limit := int64(32 << 20)
	for round := range 10 {
		q := h.request(img, fmt.Sprintf("hog-%d", round), "oom")
		q.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &limit}}
		h.start(q)
		if dead := h.reap(q.ID); dead.Exit.Reason != pod.ExitOOMKilled || dead.Exit.Code != 137 {
			t.Errorf("round %d: exit is %+v", round, *dead.Exit)
		}
	}
}

func TestLogStandsInForAnEmptyMessage(t *testing.T) {
	h, img := newHostWithImage(t)
	for i, code := range []string{"1", "0"} {
		q := h.request(img, "web-"+code, "exit", code)
		q.Pod.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
		h.start(q)
		want := []string{"guest begins\nguest ends", ""}[i]
		if dead := h.reap(q.ID); dead.Exit.Message != want {
			t.Errorf("code %s: the message is %q, want %q", code, dead.Exit.Message, want)
		}
	}
}

func TestMessageFileIsNoTrap(t *testing.T) {
	dir := t.TempDir()
	secret, link := filepath.Join(dir, "secret"), filepath.Join(dir, "link")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, bytes.Repeat([]byte("x"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := readMessage(link); got != "" {
		t.Errorf("a link is followed to %q", got)
	}
	if got := readMessage(long); len(got) != 4096 {
		t.Errorf("%d bytes are read", len(got))
	}
}

func TestResizeReachesTheCgroupAndTheSpec(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	before, after := int64(64<<20), int64(96<<20)
	q.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &before}}
	h.start(q)
	for range 2 {
		if err := h.Resize(t.Context(), q.ID, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &after}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.memoryLimit(q.CgroupPath); got != "100663296" {
		t.Errorf("the cgroup's limit is %s", got)
	}
	c, err := h.client.ContainerService().Get(h.scope(t.Context()), q.ID)
	if err != nil {
		t.Fatal(err)
	}
	var stored specs.Spec
	if err := json.Unmarshal(c.Spec.GetValue(), &stored); err != nil {
		t.Fatal(err)
	}
	if res := stored.Linux.Resources; *res.Memory.Limit != after || len(res.Devices) == 0 {
		t.Errorf("stored limits are %+v", res)
	}
}

func (h *host) memoryLimit(path string) string {
	h.t.Helper()
	for _, name := range []string{"/sys/fs/cgroup/memory" + path + "/memory.limit_in_bytes", "/sys/fs/cgroup" + path + "/memory.max"} {
		if b, err := os.ReadFile(name); err == nil {
			return strings.TrimSpace(string(b))
		}
	}
	h.t.Fatalf("no memory limit below %s", path)
	return ""
}

func TestRecordReplacesThePodOnly(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.start(q)
	changed := q.Pod.DeepCopy()
	changed.Labels = map[string]string{"tier": "front"}
	origin := pod.Origin{File: "/elsewhere.yaml"}
	if err := h.Record(t.Context(), q.ID, changed, origin); err != nil {
		t.Fatal(err)
	}
	c, _, err := h.Observe(t.Context(), q.ID)
	if err != nil {
		t.Fatal(err)
	}
	q.Pod, q.Origin = changed, origin
	checkRecord(t, q, c)
}

func TestExec(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.start(q)
	for name, c := range map[string]struct {
		request ExecRequest
		code    int
		out     string
	}{
		"exit code":  {ExecRequest{Command: []string{"/guest", "exit", "3"}}, 3, "guest begins\nguest ends\n"},
		"input":      {ExecRequest{Command: []string{"/guest", "cat"}, Stdin: strings.NewReader("hello\n")}, 0, "guest begins\nhello\ncopied 6 <nil>\n"},
		"env":        {ExecRequest{Command: []string{"/guest", "env", "A"}, Env: []string{"A=b"}}, 0, "guest begins\nb\n"},
		"a terminal": {ExecRequest{Command: []string{"/guest", "exit", "0"}, TTY: true}, 0, "guest begins\r\nguest ends\r\n"},
	} {
		var out bytes.Buffer
		c.request.Stdout = &out
		code, err := h.Exec(t.Context(), q.ID, c.request)
		if code != c.code || out.String() != c.out || err != nil {
			t.Errorf("%s: code %d, output %q, %v", name, code, out.String(), err)
		}
	}
	code, err := h.Exec(t.Context(), q.ID, ExecRequest{Command: []string{"/nope"}})
	if code != 127 || !errors.Is(err, ErrNotStarted) {
		t.Errorf("a missing command: %d, %v", code, err)
	}
	h.checkNoExec(q)
}

func TestExecEndsWithItsContext(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.start(q)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	out := writerFunc(func(b []byte) (int, error) { cancel(why); return len(b), nil })
	if _, err := h.Exec(ctx, q.ID, ExecRequest{Command: []string{"/guest", "wait"}, Stdout: out}); !errors.Is(err, why) {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := h.Exec(ctx, q.ID, ExecRequest{Command: []string{"/guest", "wait"}}); err == nil {
		t.Error("a context that has ended is no error")
	}
	h.checkNoExec(q)
}

// A call that is given up while containerd is at work on it takes effect all
// the same.
func TestExecLeavesNothingWheneverItEnds(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "wait")
	h.start(q)
	for i := range 25 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*8*time.Millisecond)
		if _, err := h.Exec(ctx, q.ID, ExecRequest{Command: []string{"/guest", "wait"}}); err == nil {
			t.Error("the end of the context is no error")
		}
		cancel()
	}
	h.checkNoExec(q)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// checkNoExec looks for processes and pipes that a command has left.
func (h *host) checkNoExec(q pod.StartRequest) {
	h.t.Helper()
	group, err := h.cgroupOf(q.ID, q.CgroupPath)
	if err != nil {
		h.t.Fatal(err)
	}
	if pids, err := group.processes(); err != nil || len(pids) != 1 {
		h.t.Errorf("processes %v, %v", pids, err)
	}
	left, err := filepath.Glob(h.path("run/exec/*"))
	if err != nil || len(left) != 0 {
		h.t.Errorf("left are %v, %v", left, err)
	}
}

func TestUsersOfTheImageAreKnown(t *testing.T) {
	h, img := newHostWithImage(t)
	q := h.request(img, "web", "id", "exit", "0")
	q.Pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(1234))}
	h.start(q)
	if dead := h.reap(q.ID); dead.Exit.LogTail[1] != "1234 1235" {
		t.Errorf("it printed %q", dead.Exit.LogTail)
	}
	left, err := filepath.Glob(h.path("run/" + mountPrefix + "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}
