package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/manifest"
	"github.com/podstead/podstead/pod"
)

// inBubble runs an agent on a fake below a clock that only moves when
// everything waits.
func inBubble(t *testing.T, f *fake, story func(*testing.T, *agent.Agent)) {
	synctest.Test(t, func(t *testing.T) {
		a, stop := startAgent(t, f)
		story(t, a)
		stop()
	})
}

// startAgent runs an agent until stop is called.
func startAgent(t *testing.T, f *fake) (a *agent.Agent, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	a = newAgent(t, f)
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	synctest.Wait()
	return a, func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	}
}

func newAgent(t *testing.T, f *fake) *agent.Agent {
	return newLoggingAgent(f, zaptest.NewLogger(t))
}

func newLoggingAgent(f *fake, log *zap.Logger) *agent.Agent {
	return agent.New(agent.Config{
		Settings:   plan.DefaultSettings(),
		Node:       pod.Node{ID: "node", Name: "edge", BootID: "boot", Labels: map[string]string{"disk": "ssd"}, Allocatable: corev1.ResourceList{"memory": resource.MustParse("1Gi")}},
		Containers: f, Images: f, Sandboxes: fakeSandboxes{f}, Network: fakeNetwork{f}, Volumes: fakeVolumes{f},
		Cgroups: fakeCgroups{f}, Logs: fakeLogs{f}, History: fakeHistory{f},
		Probes: fakeProbes{f}, Hooks: fakeHooks{f}, Verdicts: fakeVerdicts{f},
		Disks: fakeDisks{f}, GoodImages: fakeGoodImages{f}, Records: fakeRecords{f}, Services: fakeServices{f}, Names: fakeNames{f}, ServiceRanges: serviceRanges, Collect: plan.DefaultImageSettings(),
		Now: resting(), Default: manifest.Default, Sources: []string{"local"}, Log: log,
	})
}

// desired is a pod of one container, changed by the functions.
func desired(name string, change ...func(*corev1.Pod)) pod.Desired {
	p := &corev1.Pod{}
	p.Namespace, p.Name = "default", name
	p.Spec.Containers = []corev1.Container{{Name: "app", Image: "app:1"}}
	for _, c := range change {
		c(p)
	}
	manifest.Default(p)
	return pod.Desired{
		Key: pod.Key{Namespace: p.Namespace, Name: p.Name}, Pod: p,
		Origin: pod.Origin{Source: "local", File: "/m/" + name + ".yaml", Line: 1, Column: 1},
	}
}

func source(pods ...pod.Desired) pod.SourceState {
	return pod.SourceState{Name: "local", Kind: "directory", Location: "/m", Synced: true, Pods: pods}
}

func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func expect(t *testing.T, f *fake, want string) {
	t.Helper()
	if got := f.running(); got != want {
		t.Errorf("running is %q, want %q", got, want)
	}
}

func TestManifestBecomesContainerAndGoes(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		expect(t, f, "web/app#1.0")
		v, ok := a.Latest().Find(pod.Key{Namespace: "default", Name: "web"})
		if !ok || v.Pod.Status.Phase != corev1.PodRunning || !v.Pod.Status.ContainerStatuses[0].Ready {
			t.Errorf("shown as %+v", v.Pod)
		}
		a.Publish(source())
		settle(time.Second)
		expect(t, f, "")
		if len(f.containers)+len(f.sandboxes)+len(a.Latest().Pods) > 0 {
			t.Errorf("left: %v %v %v", f.containers, f.sandboxes, a.Latest().Pods)
		}
		a.Publish(source(desired("web")))
		settle(time.Second)
		expect(t, f, "web/app#2.0")
	})
}

func TestRestartBacksOff(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		for _, step := range []struct {
			wait time.Duration
			want string
		}{{0, "web/app#1.1"}, {10 * time.Second, "web/app#1.2"}, {20 * time.Second, "web/app#1.3"}} {
			f.kill("app", 1)
			if step.wait > 0 {
				settle(step.wait - time.Second)
				expect(t, f, "")
			}
			settle(2 * time.Second)
			expect(t, f, step.want)
		}
	})
}

func TestRuntimeDownDecidesNothing(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		f.set(func(f *fake) { f.down = true })
		f.kill("app", 3)
		settle(time.Second)
		a.Publish(source())
		settle(time.Minute)
		if up := a.Latest().Runtime.Up; up || f.count("stop") > 0 {
			t.Errorf("up %v, calls %v", up, f.calls)
		}
		a.Publish(source(desired("web")))
		f.set(func(f *fake) { f.down = false })
		settle(3 * time.Second)
		expect(t, f, "web/app#1.1")
		if !a.Latest().Runtime.Up {
			t.Error("the runtime is still shown as down")
		}
	})
}

func TestAgentTakesOverWhatRuns(t *testing.T) {
	f := newFake()
	synctest.Test(t, func(t *testing.T) {
		first, stop := startAgent(t, f)
		first.Publish(source(desired("web"), desired("db")))
		settle(time.Second)
		stop()
		f.set(func(f *fake) { f.calls, f.changed = nil, nil })
		f.kill("app", 5)

		second, stop := startAgent(t, f)
		defer stop()
		settle(time.Minute)
		if n := f.count("stop"); n > 0 {
			t.Errorf("stopped before any source was read: %v", f.calls)
		}
		expect(t, f, "db/app#1.1 web/app#1.1")
		second.Publish(source(desired("web"), desired("db", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "app:2" })))
		settle(time.Minute)
		expect(t, f, "db/app#1.2 web/app#1.1")
		v, _ := second.Latest().Find(pod.Key{Namespace: "default", Name: "web"})
		if last := v.Pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.ExitCode != 5 {
			t.Errorf("the exit while podstead was away is shown as %v", last)
		}
	})
}

func TestPodsShareOnePull(t *testing.T) {
	f := newFake()
	f.delay = 100 * time.Millisecond
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		var pods []pod.Desired
		for i := range 20 {
			pods = append(pods, desired(fmt.Sprintf("p%02d", i)))
		}
		a.Publish(source(pods...))
		settle(time.Minute)
		if f.pulls["app:1"] != 1 {
			t.Errorf("pulled %d times", f.pulls["app:1"])
		}
		if n := len(strings.Fields(f.running())); n != 20 {
			t.Errorf("%d run", n)
		}
		if f.most > 5 {
			t.Errorf("%d operations at the same time", f.most)
		}
	})
}

// Registries that don't answer keep no pod from another registry's image.
func TestSilentRegistriesHoldNobodyUp(t *testing.T) {
	f := newFake()
	f.silent = map[string]bool{}
	var pods []pod.Desired
	for i := range 7 {
		image := fmt.Sprintf("silent:%d", i)
		f.silent[image] = true
		pods = append(pods, desired(fmt.Sprintf("a%d", i), func(p *corev1.Pod) { p.Spec.Containers[0].Image = image }))
	}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(append(pods, desired("web"))...))
		settle(4 * time.Second)
		expect(t, f, "")
		settle(12 * time.Second)
		expect(t, f, "web/app#1.0")
	})
}

// TestPresentImagesWaitForNoRegistry: what is here starts at once, however many
// registries are asked and don't answer.
func TestPresentImagesWaitForNoRegistry(t *testing.T) {
	f := newFake()
	f.silent, f.present["app:1"] = map[string]bool{}, true
	var pods []pod.Desired
	for i := range 12 {
		image := fmt.Sprintf("silent:%d", i)
		f.silent[image] = true
		pods = append(pods, desired(fmt.Sprintf("a%d", i), func(p *corev1.Pod) { p.Spec.Containers[0].Image = image }))
	}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(pods...))
		settle(time.Second)
		s := source(append(pods, desired("here", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "app:1" }),
			desired("missing", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "app:2" }))...)
		s.Objects = []pod.Object{deployment("app:1")}
		a.Publish(s)
		settle(time.Second)
		expectImages(t, f, "app:1×4")
		if f.pulls["app:1"]+f.pulls["app:2"] > 0 {
			t.Errorf("pulled were %v", f.pulls)
		}
		settle(time.Minute) // by then it is the turn of the other
		expectImages(t, f, "app:1×4 app:2×1")
	})
}

// TestRemovedImageIsFetchedAgain: one that somebody removed is pulled again for a
// restart and for a new pod.
func TestRemovedImageIsFetchedAgain(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		for pulls := 2; pulls <= 3; pulls++ {
			f.set(func(f *fake) {
				delete(f.present, "app:1")
				f.vanished = map[string]bool{"app:1": true}
			})
			if pulls == 2 {
				f.kill("app", 1)
			} else {
				a.Publish(source(desired("web"), desired("new")))
			}
			settle(time.Minute)
			if f.pulls["app:1"] != pulls {
				t.Errorf("it was pulled %d times, want %d", f.pulls["app:1"], pulls)
			}
		}
		expect(t, f, "new/app#1.0 web/app#1.1")
	})
}

func TestMissingImageKeepsTheOldVersion(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		a.Publish(source(desired("web", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "app:3"; p.Spec.HostNetwork = true })))
		settle(time.Minute)
		expect(t, f, "web/app#1.0")
		f.set(func(f *fake) { f.images["app:3"] = true })
		a.ImagesChanged()
		settle(time.Second)
		expect(t, f, "web/app#2.0")
	})
}

func TestLimitsChangeInPlace(t *testing.T) {
	f := newFake()
	limit := func(memory string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"memory": resource.MustParse(memory)}
		}
	}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", limit("64Mi"))))
		settle(time.Second)
		a.Publish(source(desired("web", limit("128Mi"))))
		settle(time.Second)
		expect(t, f, "web/app#1.0")
		if f.count("resize") != 1 || f.count("grow") != 1 || f.count("shrink") != 1 {
			t.Errorf("calls %v", f.calls)
		}
		f.set(func(f *fake) { f.usage = 100 << 20 })
		a.Publish(source(desired("web", limit("32Mi"))))
		settle(time.Second)
		v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "web"})
		if f.count("resize") != 1 || !strings.Contains(strings.Join(v.Notes, ""), "below the 104857600 bytes in use") {
			t.Errorf("notes %q, calls %v", v.Notes, f.calls)
		}
		f.set(func(f *fake) { f.usage = 1 << 20 })
		settle(time.Minute)
		if f.count("resize") != 2 {
			t.Error("the held limit was not applied when there was room")
		}
		expect(t, f, "web/app#1.0")
	})
}

func TestConflictNeverFlaps(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		other := desired("web", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "app:2" })
		other.Origin.File = "/m/aaa.yaml"
		a.Publish(source(other, desired("web")))
		settle(time.Second)
		expect(t, f, "web/app#1.0")
		v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "web"})
		if len(v.Problems) != 1 || !strings.Contains(v.Problems[0].String(), "/m/aaa.yaml:1:1") || !strings.Contains(v.Problems[0].String(), "/m/web.yaml:1:1") {
			t.Errorf("problems %v", v.Problems)
		}
	})
}

// What a person asks for the state of the sources has to name the loser.
func TestConflictIsAProblemOfTheSourceThatLost(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		mine, theirs := desired("web"), desired("web")
		theirs.Origin.File = "/m/copy.yaml"
		a.Publish(source(mine))
		settle(time.Second)
		a.Publish(source(mine, theirs))
		settle(time.Second)
		got := a.Latest().Sources[0].Problems
		if len(got) != 1 || got[0].Reason != pod.ReasonConflict || got[0].Origin != theirs.Origin {
			t.Errorf("problems of the source: %v, want one conflict at %s", got, theirs.Origin)
		}
		a.Publish(source(mine))
		settle(time.Second)
		if got := a.Latest().Sources[0].Problems; len(got) != 0 {
			t.Errorf("problems of the source: %v, want none", got)
		}
	})
}

func TestPortConflictWaitsForItsHolder(t *testing.T) {
	f := newFake()
	port := func(p *corev1.Pod) {
		p.Spec.HostNetwork = true
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 4534}}
	}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", port)))
		settle(time.Second)
		a.Publish(source(desired("web", port), desired("second", port)))
		settle(time.Second)
		expect(t, f, "web/app#1.0")
		v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "second"})
		if v.Pod.Status.Reason != "PortConflict" || !strings.Contains(v.Pod.Status.Message, "default/web") {
			t.Errorf("status %+v", v.Pod.Status)
		}
		a.Publish(source(desired("second", port)))
		settle(time.Second)
		expect(t, f, "second/app#1.0")
	})
}

func TestDrainStopsEverything(t *testing.T) {
	f := newFake()
	f.stubborn = true
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web"), desired("db")))
		settle(time.Second)
		if err := a.Drain(t.Context(), plan.Drain{Reason: "podstead is drained", Remove: true}); err != nil {
			t.Fatal(err)
		}
		if len(f.containers)+len(f.sandboxes) > 0 {
			t.Errorf("left: %v", f.containers)
		}
	})
}

func TestRestartByOperator(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		key := pod.Key{Namespace: "default", Name: "web"}
		if err := a.Restart(t.Context(), key, "app"); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		expect(t, f, "web/app#1.1")
		var missing *agent.NotFound
		if err := a.Restart(t.Context(), pod.Key{Namespace: "default", Name: "none"}, ""); !errors.As(err, &missing) {
			t.Errorf("restart of a missing pod: %v", err)
		}
	})
}

func TestRestartEndsTheBackOff(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		for range 3 {
			f.kill("app", 1)
			settle(time.Second)
		}
		expect(t, f, "")
		if err := a.Restart(t.Context(), pod.Key{Namespace: "default", Name: "web"}, ""); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		expect(t, f, "web/app#1.2")
	})
}

func TestRefusedStartIsRetriedAndShown(t *testing.T) {
	f := newFake()
	f.refuse = &pod.Refused{Reason: "CreateContainerConfigError", Message: "image runs as root"}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "web"})
		if w := v.Pod.Status.ContainerStatuses[0].State.Waiting; w == nil || w.Reason != "CreateContainerConfigError" || w.Message != "image runs as root" {
			t.Errorf("waiting %+v", w)
		}
		settle(time.Minute) // the pauses between the tries have grown
		f.set(func(f *fake) { f.refuse = nil })
		a.Publish(source(desired("web", func(p *corev1.Pod) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A"}} })))
		settle(time.Second)
		expect(t, f, "web/app#1.0")
	})
}

func TestOutgrownVolumeReplacesThePod(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", cache), desired("db")))
		settle(time.Minute)
		expect(t, f, "db/app#1.0 web/app#1.0")
		f.set(func(f *fake) { f.usage = 20 << 20 })
		settle(11 * time.Second)
		f.set(func(f *fake) { f.usage = 0 })
		settle(time.Minute)
		expect(t, f, "db/app#1.0 web/app#2.0")
		if events := fmt.Sprint(a.Latest().Events); !strings.Contains(events, `emptyDir volume "cache" uses 20Mi, its sizeLimit is 1Mi`) {
			t.Error("nobody is told why")
		}
	})
}
