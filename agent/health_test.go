package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

func probing(p *corev1.Pod) {
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}}
	c := &p.Spec.Containers[0]
	c.StartupProbe, c.LivenessProbe, c.ReadinessProbe = probe.DeepCopy(), probe.DeepCopy(), probe.DeepCopy()
}

func hooked(p *corev1.Pod) {
	hook := func(name string) *corev1.LifecycleHandler {
		return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{name}}}
	}
	p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: hook("warm"), PreStop: hook("drain")}
}

func judge(f *fake, a *agent.Agent, kind pod.ProbeKind, outcome pod.ProbeOutcome) {
	a.Judged(pod.ProbeVerdict{ProbeID: f.target(kind).ProbeID, Outcome: outcome, Message: "status 503", At: now()})
	settle(time.Second)
}

func ready(a *agent.Agent, name string) bool {
	v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: name})
	return v.Pod != nil && v.Pod.Status.ContainerStatuses[0].Ready
}

func TestProbesAreMadeInTheirTurnAndJudge(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", probing)))
		settle(time.Second)
		if got := f.probed(); !slices.Equal(got, []string{"app:startup"}) || ready(a, "web") {
			t.Errorf("before it has started: probed %v, ready %v", got, ready(a, "web"))
		}
		judge(f, a, pod.ProbeStartup, pod.ProbeSuccess)
		if got := f.probed(); !slices.Equal(got, []string{"app:liveness", "app:readiness"}) || ready(a, "web") {
			t.Errorf("started: probed %v, ready %v", got, ready(a, "web"))
		}
		judge(f, a, pod.ProbeReadiness, pod.ProbeSuccess)
		if !ready(a, "web") {
			t.Error("its readiness probe succeeded and it is not ready")
		}
		judge(f, a, pod.ProbeReadiness, pod.ProbeFailure)
		expect(t, f, "web/app#1.0")
		if ready(a, "web") || !told(a, "Unhealthy", "readiness probe of container app failed: status 503") {
			t.Errorf("not ready: %v, events %v", !ready(a, "web"), a.Latest().Events)
		}
		judge(f, a, pod.ProbeLiveness, pod.ProbeFailure)
		expect(t, f, "web/app#1.1")
		if !told(a, "Killing", "its liveness probe failed: status 503") {
			t.Errorf("events %v", a.Latest().Events)
		}
		if got := a.Latest().Counters.Restarts; got[pod.RestartLiveness] != 1 || len(got) != 1 {
			t.Errorf("restarts are counted as %v, want one for liveness", got)
		}
	})
}

// A runtime that hangs is told of within half a minute, and so is its return.
func TestAFrozenRuntimeIsNoticed(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Minute)
		f.set(func(f *fake) { f.frozen = true })
		settle(26 * time.Second)
		if r := a.Latest().Runtime; r.Up || !strings.Contains(r.Error, "has not answered for 15s") {
			t.Errorf("up %v, error %q", r.Up, r.Error)
		}
		f.set(func(f *fake) { f.frozen = false })
		settle(2 * time.Minute)
		if !a.Latest().Runtime.Up {
			t.Error("it answers again and is taken for down")
		}
		expect(t, f, "web/app#1.0")
	})
}

// Whoever looks later is told why a probe fails then, and not each time anew.
func TestAnotherReasonOfAFailureIsTold(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", probing)))
		settle(time.Second)
		judge(f, a, pod.ProbeStartup, pod.ProbeSuccess)
		for second := range 40 {
			words := fmt.Sprintf("status 404, asked %d times", second)
			a.Judged(pod.ProbeVerdict{ProbeID: f.target(pod.ProbeReadiness).ProbeID, Outcome: pod.ProbeFailure, Message: words, At: now()})
			settle(time.Second)
		}
		var words []string
		for _, e := range a.Latest().Events {
			if e.Reason == "Unhealthy" {
				_, asked, _ := strings.Cut(e.Message, "404, ")
				words = append(words, asked)
			}
		}
		if want := []string{"asked 0 times", "asked 30 times"}; !slices.Equal(words, want) {
			t.Errorf("told: %q, want %q", words, want)
		}
	})
}

func told(a *agent.Agent, reason, text string) bool {
	return slices.ContainsFunc(a.Latest().Events, func(e corev1.Event) bool {
		return e.Reason == reason && strings.Contains(e.Message, text)
	})
}

// While containerd can't be asked nothing fails; what still fails then does
// afterwards.
func TestNothingIsJudgedWhileTheRuntimeIsDown(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", probing)))
		settle(time.Second)
		judge(f, a, pod.ProbeStartup, pod.ProbeSuccess)
		judge(f, a, pod.ProbeReadiness, pod.ProbeSuccess)
		f.set(func(f *fake) { f.down = true })
		settle(2 * time.Minute)
		judge(f, a, pod.ProbeReadiness, pod.ProbeFailure)
		judge(f, a, pod.ProbeLiveness, pod.ProbeFailure)
		f.set(func(f *fake) { f.down = false })
		settle(2 * time.Minute)
		expect(t, f, "web/app#1.0")
		if !ready(a, "web") {
			t.Error("it was judged while containerd could not be asked")
		}
		judge(f, a, pod.ProbeLiveness, pod.ProbeFailure)
		expect(t, f, "web/app#1.1")
	})
}

// A restart of podstead shows no ready container as not ready.
func TestVerdictsSurvivePodstead(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", probing)))
		settle(time.Second)
		judge(f, a, pod.ProbeStartup, pod.ProbeSuccess)
		judge(f, a, pod.ProbeReadiness, pod.ProbeSuccess)
	})
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", probing)))
		settle(time.Second)
		expect(t, f, "web/app#1.0")
		if got := f.probed(); !ready(a, "web") || !slices.Equal(got, []string{"app:liveness", "app:readiness"}) {
			t.Errorf("ready %v, probed %v", ready(a, "web"), got)
		}
	})
}

func TestHooksRunAroundTheLifeOfAContainer(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", hooked)))
		settle(time.Second)
		if f.count("hook warm") != 1 || !ready(a, "web") {
			t.Errorf("%d postStart hooks, ready %v", f.count("hook warm"), ready(a, "web"))
		}
		drained := make(chan struct{})
		f.set(func(f *fake) {
			f.hook = func(ctx context.Context) error {
				select {
				case <-drained:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
		a.Publish(source())
		settle(10 * time.Second)
		expect(t, f, "web/app#1.0")
		close(drained)
		settle(time.Second)
		expect(t, f, "")
		if f.count("hook drain") != 1 {
			t.Errorf("%d preStop hooks, want 1", f.count("hook drain"))
		}
	})
}

// A preStop hook that does not end takes the grace and no more.
func TestEndlessPreStopHookEndsWithTheGrace(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", hooked)))
		settle(time.Second)
		f.set(func(f *fake) {
			f.hook = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			f.delay = 100 * time.Millisecond
		})
		a.Publish(source())
		settle(29 * time.Second)
		expect(t, f, "web/app#1.0")
		settle(2 * time.Second)
		expect(t, f, "")
		if !told(a, "FailedPreStopHook", "still running when its time was over") {
			t.Errorf("events %v", a.Latest().Events)
		}
	})
}

// A container that dies in its postStart hook ends the hook.
func TestHookEndsWithItsContainer(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		ended := 0
		f.set(func(f *fake) {
			f.hook = func(ctx context.Context) error {
				<-ctx.Done()
				f.set(func(*fake) { ended++ })
				return ctx.Err()
			}
		})
		a.Publish(source(desired("web", hooked)))
		settle(time.Second)
		f.kill("app", 1)
		settle(time.Second)
		if expect(t, f, "web/app#1.1"); ended != 1 {
			t.Errorf("%d hooks ended with their container, want 1", ended)
		}
	})
}

func TestFailedPostStartHookRestartsTheContainer(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		f.set(func(f *fake) { f.hook = func(context.Context) error { return errors.New("exit code 3") } })
		a.Publish(source(desired("web", hooked)))
		settle(time.Second)
		if !told(a, "FailedPostStartHook", "container app failed: exit code 3") {
			t.Errorf("events %v", a.Latest().Events)
		}
		if n := f.count("start "); n != 2 { // at once the first time, then with back-off
			t.Errorf("%d starts, want 2", n)
		}
	})
}

// The network is set once for what is wanted, again when that changes, and
// tried again when it fails.
func TestNetworkIsSetWhole(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		settle(time.Second)
		before := f.count("network")
		f.set(func(f *fake) { f.unset = errors.New("no nft") })
		a.Publish(source(desired("web", func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 8080, ContainerPort: 80, Protocol: "TCP"}}
		})))
		settle(10 * time.Second)
		if n := f.count("network") - before; n < 2 || n > 6 {
			t.Errorf("the network was tried %d times in 10 s, want some with back-off", n)
		}
		f.set(func(f *fake) { f.unset = nil })
		settle(30 * time.Second)
		want := "[{default/web#1 [10.0.0.1] [{ 8080 80 TCP}]}]"
		if got := wiring(f); got != want {
			t.Errorf("the network is %s, want %s", got, want)
		}
		a.Publish(source())
		settle(5 * time.Second)
		if got := wiring(f); got != "[]" {
			t.Errorf("the network is %s after the pod is gone", got)
		}
		n := f.count("network")
		settle(10 * time.Minute)
		if m := f.count("network"); m != n {
			t.Errorf("nothing changed and the network was set %d times", m-n)
		}
	})
}

func wiring(f *fake) string {
	out := []string{}
	f.set(func(f *fake) {
		for _, p := range f.wired.Pods {
			out = append(out, fmt.Sprintf("{%s %v %v}", p.Instance, p.IPs, p.Ports))
		}
	})
	return fmt.Sprint(out)
}

// A port that a process holds keeps the pod back, and is given to it within a
// moment when it is free; nobody looks when nobody waits.
func TestPortOfAProcessIsWaitedFor(t *testing.T) {
	f := newFake()
	hp := pod.HostPort{Port: 8080, Protocol: corev1.ProtocolTCP}
	f.listeners = []pod.Listener{{HostPort: hp, PID: 12, Name: "nginx"}}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 8080, ContainerPort: 80, Protocol: "TCP"}}
		})))
		settle(time.Minute)
		v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "web"})
		if expect(t, f, ""); !strings.Contains(v.Pod.Status.Message, "taken by process nginx (pid 12)") {
			t.Errorf("status says %q", v.Pod.Status.Message)
		}
		f.set(func(f *fake) { f.listeners = nil })
		settle(2 * time.Second)
		expect(t, f, "web/app#1.0")
		n := f.count("listeners")
		f.set(func(f *fake) { f.listeners = []pod.Listener{{HostPort: hp, PID: 13, Name: "app"}} })
		settle(10 * time.Minute)
		if m := f.count("listeners"); m != n {
			t.Errorf("the ports were looked at %d times although nobody waits", m-n)
		}
		expect(t, f, "web/app#1.0")
	})
}
