package cli

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/console"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// output collects what a command writes and can be waited for.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) await(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(o.String(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never got %q, but:\n%s", want, o.String())
		}
	}
}

func TestWatching(t *testing.T) {
	d := daemon()
	socket := filepath.Join(t.TempDir(), "s", "sock")
	stop, err := serve(d, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	env := func(name string) string { return map[string]string{"PODSTEAD_SOCKET": socket}[name] }
	watch := func(args ...string) (*output, func()) {
		out := &output{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan int, 1)
		go func() { done <- app(nil, out, out, env).Main(ctx, args) }()
		return out, func() {
			t.Helper()
			cancel()
			if code := receive(t, done); code != 0 {
				t.Errorf("podstead %v ended with %d", args, code)
			}
		}
	}
	pods, endPods := watch("get", "pods", "-w")
	one, endOne := watch("get", "pod", "web", "-w", "--no-headers")
	only, endOnly := watch("get", "pods", "--watch-only", "-o", "name")
	happened, endEvents := watch("events", "-w")
	pods.await(t, "web       2/2     Running")
	one.await(t, "web   2/2")
	happened.await(t, "pod/crash")

	next := host()
	next.Pods = []pod.View{crash(), view("default", "fresh", 0, "app"), web()}
	next.Events = append(next.Events, events()[1])
	next.Events[2].Name, next.Events[2].Reason = "web.2", "Pulled"
	// The watch of names begins when its list was made, which nothing shows:
	// change until it was seen.
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(only.String(), "pod/fresh") && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		d.Publish(host())
		d.Publish(next)
	}
	// A pod that is gone is shown once more.
	pods.await(t, "fresh     1/1     Running            0             0s\nwaiting   0/1")
	happened.await(t, "Pulled")
	only.await(t, "pod/fresh")
	for _, end := range []func(){endPods, endOne, endOnly, endEvents} {
		end()
	}
	if got, want := one.String(), "web   2/2   Running   0     26h\n"; got != want {
		t.Errorf("the watch of web, which did not change, shows %q, want %q", got, want)
	}
	if strings.Count(pods.String(), "NAME") != 1 {
		t.Errorf("the headings come more than once:\n%s", pods)
	}
}

func TestExecWithATerminal(t *testing.T) {
	sizes := make(chan api.TerminalSize, 8)
	d := daemon()
	d.OnExec = func(_ context.Context, _ string, r api.ExecRequest) (int, error) {
		if !r.TTY {
			return 2, nil
		}
		buf := make([]byte, 1)
		// The terminal would take the byte for itself without raw mode.
		if _, err := r.Stdin.Read(buf); err != nil {
			return 3, err
		}
		for size := range r.Resize {
			sizes <- size
			if size.Width == 120 {
				break
			}
		}
		return int(buf[0]), nil
	}
	socket := filepath.Join(t.TempDir(), "s", "sock")
	stop, err := serve(d, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	master, slavePath, err := console.NewPty()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	slave := openTerminal(t, slavePath)
	if err := master.Resize(console.WinSize{Width: 80, Height: 24}); err != nil {
		t.Fatal(err)
	}
	out := &output{}
	done := make(chan int, 1)
	go func() {
		env := func(name string) string { return map[string]string{"PODSTEAD_SOCKET": socket}[name] }
		done <- app(slave, out, out, env).Main(t.Context(), []string{"exec", "-it", "web", "-c", "app", "--", "sh"})
	}()
	for deadline := time.Now().Add(10 * time.Second); cooked(t, slave); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the terminal was not put into raw mode:\n%s", out)
		}
	}
	if _, err := master.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, sizes); got != (api.TerminalSize{Width: 80, Height: 24}) {
		t.Errorf("first size %v, want 80x24", got)
	}
	if err := master.Resize(console.WinSize{Width: 120, Height: 30}); err != nil {
		t.Fatal(err)
	}
	resized(t)
	if got := receive(t, sizes); got != (api.TerminalSize{Width: 120, Height: 30}) {
		t.Errorf("next size %v, want 120x30", got)
	}
	if code := receive(t, done); code != 3 {
		t.Errorf("exit code %d, want that of Ctrl-C passed on as a byte, 3:\n%s", code, out)
	}
	if !cooked(t, slave) {
		t.Error("the terminal was left in raw mode")
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came within ten seconds")
		panic("unreachable")
	}
}
