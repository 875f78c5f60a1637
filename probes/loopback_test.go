package probes_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/probes"
)

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

func realNow() pod.Stamp {
	now := time.Now()
	return pod.Stamp{Moment: pod.Moment(now.UnixNano()), Wall: now}
}

// starved is said of attempts that count neither way since the machine is
// busy with something else; tests wait for the next.
const starved = "podstead itself did not get to run in time"

// once makes a probe until the first attempt has ended and returns that.
func once(t *testing.T, c pod.ProbeTarget, exec func(context.Context, string, []string, io.Writer) (int, error)) pod.ProbeAttempt {
	t.Helper()
	c.Probe.FailureThreshold = 1
	r := probes.New(probes.Config{Exec: exec, Now: realNow, Judge: func(pod.ProbeVerdict) {}})
	run(t, r)
	r.Set([]pod.ProbeTarget{c})
	var attempt pod.ProbeAttempt
	await(t, "an attempt", func() bool {
		reports := r.Reports(c.Container)
		if len(reports) == 1 && len(reports[0].Recent) > 0 && !strings.Contains(reports[0].Recent[0].Message, starved) {
			attempt = reports[0].Recent[0]
		}
		return !attempt.At.IsZero()
	})
	return attempt
}

// run runs r for the rest of the test.
func run(t *testing.T, r *probes.Runner) {
	t.Helper()
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		await(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
	})
}

func await(t *testing.T, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !met(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// serve answers each connection by handle until the test ends.
func serve(t *testing.T, handle func(net.Conn)) (port int) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // no descriptor is left, in one test
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().(*net.TCPAddr).Port
}

func httpTarget(port int, change ...func(*corev1.HTTPGetAction)) pod.ProbeTarget {
	return target("a", func(t *pod.ProbeTarget) {
		a := &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt(port), Scheme: corev1.URISchemeHTTP}
		t.Probe.ProbeHandler = corev1.ProbeHandler{HTTPGet: a}
		for _, c := range change {
			c(a)
		}
	})
}

func check(t *testing.T, got pod.ProbeAttempt, result pod.ProbeOutcome, message string) {
	t.Helper()
	if got.Result != result || got.Message != message {
		t.Errorf("got %q: %s\nwant %q: %s", got.Result, got.Message, result, message)
	}
}

func checkContains(t *testing.T, got pod.ProbeAttempt, result pod.ProbeOutcome, part string) {
	t.Helper()
	if got.Result != result || !strings.Contains(got.Message, part) {
		t.Errorf("got %q: %s\nwant %q with %q in it", got.Result, got.Message, result, part)
	}
}
