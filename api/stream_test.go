package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/pod"
)

var webKey = pod.Key{Namespace: "default", Name: "web"}

func TestLogOptionsArrive(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	c, _ := serve(t, d)
	five := int64(5)
	for name, test := range map[string]struct {
		options api.LogOptions
		want    string
	}{
		"plain": {api.LogOptions{}, "previous=false follow=false tail=-1 timestamps=false since=false limit=0"},
		"all": {
			api.LogOptions{Container: "app", Previous: true, Timestamps: true, TailLines: &five, Since: time.Minute, LimitBytes: 9},
			"previous=true follow=false tail=5 timestamps=true since=true limit=9"},
		"since a time": {api.LogOptions{SinceTime: time.Now()}, "previous=false follow=false tail=-1 timestamps=false since=true limit=0"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := readLog(t, c, test.options), "dir=/logs/default_web_uid-1/app attempt=2 "+test.want+"\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func readLog(t *testing.T, c *api.Client, o api.LogOptions) string {
	t.Helper()
	in, err := c.Logs(t.Context(), webKey, o)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFollowedLinesComeAtOnceUntilTheContainerEnds(t *testing.T) {
	lines := make(chan string)
	d := &apitest.Daemon{OnLogs: func(ctx context.Context, r api.LogRequest, w io.Writer) error {
		for line := range lines {
			fmt.Fprintln(w, line)
		}
		fmt.Fprintln(w, "ended", r.Ended())
		return nil
	}}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	c, _ := serve(t, d)
	in, err := c.Logs(t.Context(), webKey, api.LogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	buf := make([]byte, 100)
	for _, line := range []string{"one", "two"} {
		lines <- line
		n, err := in.Read(buf)
		if err != nil || string(buf[:n]) != line+"\n" {
			t.Fatalf("got %q, %v, want %q before the stream ends", buf[:n], err, line)
		}
	}
	d.Publish(pod.Snapshot{})
	close(lines)
	rest, err := io.ReadAll(in)
	if err != nil || string(rest) != "ended true\n" {
		t.Errorf("got %q, %v, want that the log of a pod that is gone has ended", rest, err)
	}
}

func TestFollowerEndsWithTheLastRun(t *testing.T) {
	terminated := func(code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
	}
	for name, test := range map[string]struct {
		policy corev1.RestartPolicy
		state  corev1.ContainerState
		want   bool
	}{
		"running":              {corev1.RestartPolicyNever, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, false},
		"always":               {corev1.RestartPolicyAlways, terminated(0), false},
		"on failure, failed":   {corev1.RestartPolicyOnFailure, terminated(1), false},
		"on failure, done":     {corev1.RestartPolicyOnFailure, terminated(0), true},
		"never":                {corev1.RestartPolicyNever, terminated(1), true},
		"waiting for back-off": {corev1.RestartPolicyAlways, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := &apitest.Daemon{OnLogs: func(_ context.Context, r api.LogRequest, w io.Writer) error {
				_, err := fmt.Fprint(w, r.Ended())
				return err
			}}
			d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web", func(v *pod.View) {
				v.Pod.Spec.RestartPolicy = test.policy
				v.Pod.Status.ContainerStatuses[0].State = test.state
			})}})
			c, _ := serve(t, d)
			if got := readLog(t, c, api.LogOptions{}); got != fmt.Sprint(test.want) {
				t.Errorf("ended: %s, want %t", got, test.want)
			}
		})
	}
}

func TestLogsThatCanNotBe(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*pod.View)
		options api.LogOptions
		want    string
	}{
		"not started": {func(v *pod.View) {
			v.Containers = nil
			v.Pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}
		}, api.LogOptions{}, `container "app" in pod "web" is waiting to start: ImagePullBackOff`},
		"no earlier run": {func(v *pod.View) { v.Containers[0].LogPath = "/logs/0.log" },
			api.LogOptions{Previous: true}, `previous terminated container "app" in pod "web" not found`},
		"no such container": {func(*pod.View) {}, api.LogOptions{Container: "x"}, "choose one of: [app]"},
		"which container": {func(v *pod.View) {
			v.Pod.Spec.Containers = append(v.Pod.Spec.Containers, corev1.Container{Name: "two"})
		}, api.LogOptions{}, "a container name must be specified for pod web, choose one of: [app two]"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &apitest.Daemon{}
			d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web", test.change)}})
			c, _ := serve(t, d)
			_, err := c.Logs(t.Context(), webKey, test.options)
			if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want a bad request that says %q", err, test.want)
			}
		})
	}
}

func TestLogThatCanNotBeReadIsAnError(t *testing.T) {
	d := &apitest.Daemon{OnLogs: func(context.Context, api.LogRequest, io.Writer) error { return errors.New("disk on fire") }}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	c, _ := serve(t, d)
	_, err := c.Logs(t.Context(), webKey, api.LogOptions{})
	if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("got %v", err)
	}
}

// shout is a command that answers its input in capitals and then ends with
// code 3.
func shout(_ context.Context, id string, r api.ExecRequest) (int, error) {
	in, err := io.ReadAll(r.Stdin)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(r.Stdout, "%s:%s", id, bytes.ToUpper(in))
	fmt.Fprintf(r.Stderr, "ran %q", r.Command)
	return 3, nil
}

func TestExecCarriesStreamsAndExitCode(t *testing.T) {
	d := &apitest.Daemon{OnExec: shout}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	c, _ := serve(t, d)
	input := strings.Repeat("hello ", 100_000)
	var out, errs bytes.Buffer
	code, err := c.Exec(t.Context(), webKey, "", api.ExecRequest{
		Command: []string{"sh", "-c", "a b"}, Stdin: strings.NewReader(input), Stdout: &out, Stderr: &errs,
	})
	if err != nil || code != 3 {
		t.Fatalf("got code %d, %v, want 3", code, err)
	}
	if out.String() != "id-web:"+strings.ToUpper(input) {
		t.Errorf("output of %d bytes is not the input of %d in capitals", out.Len(), len(input))
	}
	if got, want := errs.String(), `ran ["sh" "-c" "a b"]`; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

func TestExecPassesTheTerminalsSize(t *testing.T) {
	d := &apitest.Daemon{OnExec: func(ctx context.Context, _ string, r api.ExecRequest) (int, error) {
		if !r.TTY {
			return 1, nil
		}
		for size := range r.Resize {
			fmt.Fprintf(r.Stdout, "%dx%d", size.Width, size.Height)
			if size.Width == 2 {
				return 0, nil
			}
		}
		return 2, nil
	}}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	c, _ := serve(t, d)
	sizes := make(chan api.TerminalSize)
	out, in := io.Pipe()
	go func() {
		buf := make([]byte, 10)
		sizes <- api.TerminalSize{Width: 80, Height: 24}
		n, _ := out.Read(buf)
		if string(buf[:n]) == "80x24" {
			sizes <- api.TerminalSize{Width: 2, Height: 1}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	code, err := c.Exec(t.Context(), webKey, "app", api.ExecRequest{Command: []string{"top"}, TTY: true, Stdout: in, Resize: sizes})
	if err != nil || code != 0 {
		t.Errorf("got code %d, %v, want that both sizes came", code, err)
	}
	in.Close()
}

func TestExecEndsWithItsClient(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	d := &apitest.Daemon{OnExec: func(ctx context.Context, _ string, r api.ExecRequest) (int, error) {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return 0, ctx.Err()
	}}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	c, _ := serve(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(ctx, webKey, "", api.ExecRequest{Command: []string{"sleep"}, Stdin: strings.NewReader("")})
		done <- err
	}()
	receive(t, started)
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the command ended with %v", err)
	}
	if err := receive(t, done); err == nil {
		t.Error("an exec that was given up ended without an error")
	}
}

func TestExecThatCanNotBe(t *testing.T) {
	d := &apitest.Daemon{OnExec: func(context.Context, string, api.ExecRequest) (int, error) { return 0, errors.New("no such file: zsh") }}
	stopped := view("default", "old", func(v *pod.View) { v.Pod.Status.ContainerStatuses[0].State = corev1.ContainerState{} })
	d.Publish(pod.Snapshot{Pods: []pod.View{stopped, view("default", "web")}})
	c, _ := serve(t, d)
	for name, test := range map[string]struct {
		pod     string
		command []string
		want    string
	}{
		"not running":    {"old", []string{"ls"}, `container "app" of pod default/old is not running`},
		"no command":     {"web", nil, "command: got nothing"},
		"command failed": {"web", []string{"zsh"}, "no such file: zsh"},
		"no such pod":    {"gone", []string{"ls"}, `pods "gone" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Exec(t.Context(), pod.Key{Namespace: "default", Name: test.pod}, "", api.ExecRequest{Command: test.command})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestMetricsAreRates(t *testing.T) {
	d := &apitest.Daemon{}
	gone := view("default", "gone")
	starting := view("default", "starting", func(v *pod.View) { v.Containers[0].PID = 0 })
	d.Publish(pod.Snapshot{Pods: []pod.View{gone, starting, view("default", "web")}})
	c, _ := serve(t, d)
	list, err := c.PodMetrics(t.Context(), api.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Name != "web" {
		t.Fatalf("got %+v, want web alone", list.Items)
	}
	m := list.Items[0]
	cpu, memory := m.Containers[0].Usage.Cpu().AsApproximateFloat64(), m.Containers[0].Usage.Memory().Value()
	want := 0.1 / m.Window.Seconds()
	if cpu < want*0.99 || cpu > want*1.01 || memory != 64<<20 {
		t.Errorf("got %v cores and %d bytes, want %v and %d", cpu, memory, want, 64<<20)
	}
}

func TestUnreachableSaysWhatToDo(t *testing.T) {
	socket := t.TempDir() + "/none"
	_, err := api.NewClient(socket).Status(t.Context())
	var unreachable *api.UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "not running: there is no socket "+socket) {
		t.Errorf("no socket: got %v", err)
	}
	leaveSocket(t, socket)
	if _, err := api.NewClient(socket).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody answers at "+socket) {
		t.Errorf("dead socket: got %v", err)
	}
}
