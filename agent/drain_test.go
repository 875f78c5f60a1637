package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

func shutdown() plan.Drain {
	return plan.Drain{Reason: "the server shuts down", GracePeriod: time.Minute, GracePeriodCriticalPods: 10 * time.Second}
}

// TestShutdownKeepsWhatPodsHave: what is stopped for a shutdown starts again
// when that is cancelled, as the same instance, with its counts and at once;
// meanwhile nothing starts.
func TestShutdownKeepsWhatPodsHave(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		never := func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }
		a.Publish(source(desired("web"), desired("job", never)))
		settle(time.Second)
		f.kill("app", 1) // a job fails, web is restarted
		settle(time.Second)
		expect(t, f, "web/app#1.1")
		a.Publish(source(desired("web"), desired("job", never), desired("once", never)))
		settle(time.Second)
		if err := a.Drain(t.Context(), shutdown()); err != nil {
			t.Fatal(err)
		}
		expect(t, f, "")
		if d := a.Latest().Draining; d.Reason != "the server shuts down" || d.Since.IsZero() {
			t.Errorf("the snapshot tells %+v", d)
		}
		a.Publish(source(desired("web"), desired("job", never), desired("once", never), desired("new")))
		settle(10 * time.Minute)
		expect(t, f, "")
		if v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "new"}); v.Pod == nil || v.Pod.Status.Reason != "NodeShutdown" {
			t.Errorf("the pod that waits is shown as %+v", v.Pod)
		}
		if n := f.count("remove"); n > 0 {
			t.Errorf("something was removed: %v", f.calls)
		}

		a.Resume()
		settle(time.Second)
		expect(t, f, "new/app#1.0 once/app#1.1 web/app#1.2")
		if d := a.Latest().Draining; d.Reason != "" {
			t.Errorf("the snapshot still tells %+v", d)
		}
		f.kill("app", 1) // the first failure after it is followed at once, as after any start
		settle(time.Second)
		expect(t, f, "new/app#1.1 web/app#1.3")
	})
}

// TestCriticalPodsGoLast: they run until nothing else does, or until the others
// have had their time, and then have the rest.
func TestCriticalPodsGoLast(t *testing.T) {
	f := newFake()
	f.stubborn = true
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		minutes := int64(300)
		critical := func(p *corev1.Pod) {
			p.Spec.PriorityClassName = "system-node-critical"
			p.Spec.TerminationGracePeriodSeconds = &minutes
		}
		patient := func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = &minutes }
		a.Publish(source(desired("dns", critical), desired("web", patient), desired("quick")))
		settle(time.Second)
		began, done := time.Now(), make(chan error, 1)
		go func() { done <- a.Drain(t.Context(), shutdown()) }()
		for _, step := range []struct {
			at   time.Duration
			want string
		}{
			{29 * time.Second, "dns/app#1.0 quick/app#1.0 web/app#1.0"},
			{31 * time.Second, "dns/app#1.0 web/app#1.0"}, // its grace of 30 s is over
			{49 * time.Second, "dns/app#1.0 web/app#1.0"},
			{51 * time.Second, "dns/app#1.0"}, // the others have had their time
			{59 * time.Second, "dns/app#1.0"},
			{61 * time.Second, ""},
		} {
			settle(step.at - time.Since(began))
			expect(t, f, step.want)
			if dns, err := containerOf(f, "dns"); err == nil && (dns.Stopping == nil) != (step.at < 50*time.Second) {
				t.Errorf("after %s the critical pod is told to stop: %+v", step.at, dns.Stopping)
			}
		}
		if err := <-done; err != nil {
			t.Errorf("Drain: %v", err)
		}
	})
}

// TestDrainWaitsForWhatIsBeingStarted: it may run when nobody expects it.
func TestDrainWaitsForWhatIsBeingStarted(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		f.set(func(f *fake) { f.delay = 10 * time.Second })
		a.Publish(source(desired("web")))
		for f.count("start") == 0 {
			settle(time.Second)
		}
		expect(t, f, "")
		if err := a.Drain(t.Context(), shutdown()); err != nil {
			t.Fatal(err)
		}
		if f.count("stop") == 0 {
			t.Errorf("the drain was over before the start was: %v", f.calls)
		}
		settle(time.Minute)
		expect(t, f, "")
	})
}

func containerOf(f *fake, name string) (pod.Container, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.containers {
		if c.Instance.Name == name {
			return c, nil
		}
	}
	return pod.Container{}, errors.New("no such container")
}

// TestDrainBeforeRun: a podstead that is started while the server shuts down
// starts nothing, and stops what runs.
func TestDrainBeforeRun(t *testing.T) {
	f := newFake()
	synctest.Test(t, func(t *testing.T) {
		first, stop := startAgent(t, f)
		first.Publish(source(desired("web"), desired("db")))
		settle(time.Second)
		stop()
		f.kill("app", 1)
		f.set(func(f *fake) { f.calls, f.changed = nil, nil })

		second := newAgent(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		second.BeginDrain(shutdown())
		second.Publish(source(desired("web"), desired("db")))
		go func() { done <- second.Run(ctx) }()
		settle(time.Minute)
		if n := f.count("start"); n > 0 {
			t.Errorf("started %d containers: %v", n, f.calls)
		}
		expect(t, f, "")
		if err := second.Drain(ctx, shutdown()); err != nil {
			t.Errorf("Drain: %v", err)
		}
		cancel()
		<-done
	})
}

// TestDrainOutlivesWhoWaits: it goes on as it was begun, and who waits is told
// when it is called off.
func TestDrainOutlivesWhoWaits(t *testing.T) {
	f := newFake()
	f.stubborn = true
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := a.Drain(ctx, shutdown()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain: %v", err)
		}
		expect(t, f, "web/app#1.0")
		again := make(chan error, 1)
		longer := shutdown()
		longer.GracePeriod = time.Hour
		go func() { again <- a.Drain(t.Context(), longer) }()
		settle(21 * time.Second) // 31 s after the first
		expect(t, f, "")
		if err := <-again; err != nil {
			t.Errorf("Drain again: %v", err)
		}
		a.Resume()
		settle(time.Second)
		expect(t, f, "web/app#1.1")
		go func() { again <- a.Drain(t.Context(), shutdown()) }()
		settle(time.Second)
		a.Resume()
		if err := <-again; !errors.Is(err, agent.ErrResumed) {
			t.Errorf("a drain that was called off: %v", err)
		}
	})
}

// TestAliveIsARoundThroughTheLoop: without one there is no sign of life, however
// full the loop's inbox is.
func TestAliveIsARoundThroughTheLoop(t *testing.T) {
	f := newFake()
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, f)
		for range 255 {
			a.Warn("Test", "the inbox fills up")
		}
		for _, want := range []string{"does not answer", "takes nothing up"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := a.Alive(ctx); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("an agent that does not run: %v", err)
			}
			cancel()
		}
	})
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		if err := a.Alive(t.Context()); err != nil {
			t.Errorf("an agent that runs: %v", err)
		}
	})
}
