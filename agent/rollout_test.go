package agent_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

func command(t *testing.T, a *agent.Agent, c pod.RolloutCommand) string {
	t.Helper()
	text, err := a.Rollout(t.Context(), web, c)
	if err != nil {
		t.Errorf("%s: %v", c.Verb, err)
	}
	settle(2 * time.Second)
	return text
}

func TestCommandsDriftAndAreTakenBack(t *testing.T) {
	f := newFake()
	restarted(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(objects(deployment("app:1")))
		settle(15 * time.Second)
		if text := command(t, a, pod.RolloutCommand{Verb: pod.Scale, Replicas: 5}); text != "scaled to 5" {
			t.Errorf("said %q", text)
		}
		expectImages(t, f, "app:1×5")
		if v := view(t, a); len(v.Drift) != 1 || v.Replicas != 5 || !told(a, "Commanded", "scaled to 5") {
			t.Errorf("drift %v", v.Drift)
		}
	}, func(t *testing.T, a *agent.Agent) {
		a.Publish(objects(deployment("app:1")))
		settle(time.Second)
		expectImages(t, f, "app:1×5")
		command(t, a, pod.RolloutCommand{Verb: pod.RolloutReset})
		expectImages(t, f, "app:1×3")
		command(t, a, pod.RolloutCommand{Verb: pod.Scale, Replicas: 1})
		expectImages(t, f, "app:1×1")
		a.Publish(objects(deployment("app:1", func(d *appsv1.Deployment) { *d.Spec.Replicas = 2 })))
		settle(2 * time.Second)
		expectImages(t, f, "app:1×2")
		if v := view(t, a); len(v.Drift) > 0 {
			t.Errorf("drift %v", v.Drift)
		}
	})
}

// Whoever looks right after a command sees what follows from it.
func TestCommandIsAnsweredWhenItIsSeen(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(objects(deployment("app:1")))
		settle(2 * time.Minute)
		if _, err := a.Rollout(t.Context(), web, pod.RolloutCommand{Verb: pod.RolloutRestart}); err != nil {
			t.Fatal(err)
		}
		if v := view(t, a); v.Wanted != 2 || v.Revision != 2 || v.Deployment.Status.UpdatedReplicas == 3 {
			t.Errorf("revision %d, wanted %d, %d pods of it", v.Revision, v.Wanted, v.Deployment.Status.UpdatedReplicas)
		}
	})
}

func TestUndoAndRestart(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		for _, image := range []string{"app:1", "app:2"} {
			a.Publish(objects(deployment(image)))
			settle(15 * time.Second)
		}
		command(t, a, pod.RolloutCommand{Verb: pod.RolloutUndo})
		expectImages(t, f, "app:1×3")
		before := f.running()
		command(t, a, pod.RolloutCommand{Verb: pod.RolloutRestart})
		expectImages(t, f, "app:1×3")
		if f.running() == before {
			t.Error("a restart left the pods as they were")
		}
	})
}

func TestRefusedCommandsChangeNothing(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		var missing *agent.NotFound
		if _, err := a.Rollout(t.Context(), web, pod.RolloutCommand{Verb: pod.Scale}); !errors.As(err, &missing) {
			t.Errorf("of nothing: %v", err)
		}
		a.Publish(objects(deployment("app:1")))
		settle(15 * time.Second)
		for _, c := range []pod.RolloutCommand{{Verb: pod.RolloutUndo}, {Verb: pod.RolloutResume}, {Verb: pod.Scale, Replicas: -1}} {
			if _, err := a.Rollout(t.Context(), web, c); err == nil || !strings.HasPrefix(err.Error(), string(c.Verb)+": Deployment default/web ") {
				t.Errorf("%s: %v", c.Verb, err)
			}
		}
		f.set(func(f *fake) { f.unstored = errors.New("no space left on device") })
		if _, err := a.Rollout(t.Context(), web, pod.RolloutCommand{Verb: pod.Scale, Replicas: 5}); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("on a full disk: %v", err)
		}
		settle(time.Minute)
		expectImages(t, f, "app:1×3")
	})
}

// A decision that can't be stored has no effect: after a crash nobody would
// know of it.
func TestWhatCantBeStoredWaits(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(objects(deployment("app:1")))
		settle(15 * time.Second)
		f.set(func(f *fake) { f.unstored = errors.New("no space left on device") })
		a.Publish(objects(deployment("app:2")))
		settle(2 * time.Minute)
		expectImages(t, f, "app:1×3")
		if v := view(t, a); !strings.Contains(v.Held, "no space left") || !told(a, "RecordUnsaved", "no space left") {
			t.Errorf("held: %q", v.Held)
		}
		f.set(func(f *fake) { f.unstored = nil })
		settle(40 * time.Second)
		expectImages(t, f, "app:2×3")
	})
}

func TestDiffTellsAndDoesNothing(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		s := objects(deployment("app:1"))
		s.Pods = []pod.Desired{desired("one")}
		a.Publish(s)
		settle(15 * time.Second)
		calls := len(f.calls)
		other := desired("one", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "app:2" })
		one := pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindPod, Key: other.Key}, Pod: other.Pod, Origin: other.Origin}
		for _, c := range []struct {
			given []pod.Object
			verb  string
			plan  string
		}{
			{[]pod.Object{deployment("app:1")}, "unchanged", ""},
			{[]pod.Object{deployment("app:2")}, "changed", "start-first: up to 1 pod above the 3 wanted"},
			{[]pod.Object{deployment("app:1", func(d *appsv1.Deployment) { *d.Spec.Replicas = 5 })}, "changed", "2 pods are made"},
			{[]pod.Object{deployment("app:1", named("api"))}, "created", "3 pods are made"},
			{[]pod.Object{deployment("app:1", named("api"), func(d *appsv1.Deployment) { d.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "hdd"} })}, "created", "this server does not run it"},
			{[]pod.Object{one}, "changed", "container app is restarted: spec.containers[app].image changes"},
		} {
			changes, err := a.Diff(t.Context(), c.given)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(changes, func(c pod.Change) bool { return c.Verb != "deleted" })
			if got := changes[i]; got.Verb != c.verb || !strings.Contains(strings.Join(got.Plan, "\n"), c.plan) {
				t.Errorf("%s %q, want %s %q", got.Verb, got.Plan, c.verb, c.plan)
			}
		}
		settle(time.Second)
		if len(f.calls) != calls {
			t.Errorf("it did something: %v", f.calls[calls:])
		}
	})
}

func named(name string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Name = name }
}

// A manifest that takes the name of a workload's pod loses, and one whose pod
// runs has its name.
func TestPodOfAWorkloadKeepsItsName(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		s := objects(deployment("app:1"))
		a.Publish(s)
		settle(15 * time.Second)
		before := f.running()
		s.Pods = []pod.Desired{desired(a.Latest().Pods[0].Instance.Name)}
		a.Publish(s)
		settle(time.Second)
		if got := f.running(); got != before {
			t.Errorf("running is %q, was %q", got, before)
		}
		problems := a.Latest().Sources[0].Problems
		if len(problems) != 1 || problems[0].Reason != pod.ReasonConflict || !strings.Contains(problems[0].Message, "is one of Deployment default/web") {
			t.Errorf("problems %v", problems)
		}
		// The name belongs to the manifest now, so the workload takes another.
		a.Publish(source(s.Pods[0]))
		settle(time.Second)
		a.Publish(s)
		settle(15 * time.Second)
		expectImages(t, f, "app:1×4")
		if problems := a.Latest().Sources[0].Problems; len(problems) > 0 {
			t.Errorf("problems %v", problems)
		}
	})
}

// A shutdown in the watch window, or before a version was ready, is no failure
// of what is rolled out.
func TestDrainIsNoFailure(t *testing.T) {
	for name, change := range map[string]func(*appsv1.Deployment){"watched": func(*appsv1.Deployment) {}, "on its way": slow} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			inBubble(t, f, func(t *testing.T, a *agent.Agent) {
				a.Publish(objects(deployment("app:1", change)))
				settle(30 * time.Second)
				a.Publish(objects(deployment("app:2", change)))
				settle(2 * time.Second)
				if err := a.Drain(t.Context(), plan.Drain{Reason: "the server shuts down", GracePeriod: time.Minute}); err != nil {
					t.Fatal(err)
				}
				settle(20 * time.Minute)
				expectImages(t, f, "")
				a.Resume()
				settle(time.Minute)
				expectImages(t, f, "app:2×3")
				if v := view(t, a); v.Revision != 2 {
					t.Errorf("shown as %+v", v.Revisions)
				}
			})
		})
	}
}

func TestServerRunsWhatItsLabelsAllow(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		on := func(disk string) func(*appsv1.Deployment) {
			return func(d *appsv1.Deployment) { d.Spec.Template.Spec.NodeSelector = map[string]string{"disk": disk} }
		}
		a.Publish(objects(deployment("app:1", on("hdd"))))
		settle(time.Second)
		expectImages(t, f, "")
		if v := view(t, a); !strings.Contains(v.Elsewhere, "disk=hdd") || len(f.records) > 0 {
			t.Errorf("elsewhere %q", v.Elsewhere)
		}
		a.Publish(objects(deployment("app:1", on("ssd"))))
		settle(time.Second)
		expectImages(t, f, "app:1×3")
		a.Publish(objects(deployment("app:1", on("hdd"))))
		settle(time.Second)
		expectImages(t, f, "")
	})
}

// A pod of a manifest that is for another server waits, holds nothing and says
// why; one that runs stays.
func TestPodForAnotherServerWaits(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		on := func(disk string) func(*corev1.Pod) {
			return func(p *corev1.Pod) {
				p.Spec.NodeSelector = map[string]string{"disk": disk}
				p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 8080, Protocol: corev1.ProtocolTCP}}
			}
		}
		a.Publish(source(desired("a", on("hdd")), desired("b", on("ssd"))))
		settle(3 * time.Second)
		expect(t, f, "b/app#1.0")
		v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "a"})
		if st := v.Pod.Status; st.Phase != corev1.PodPending || st.Reason != "NodeAffinity" || !strings.Contains(st.Message, "nodeSelector wants disk=hdd, this server has disk=ssd") {
			t.Errorf("shown as %+v", st)
		}
		a.Publish(source(desired("b", on("hdd"))))
		settle(3 * time.Second)
		expect(t, f, "b/app#1.0")
	})
}

// TestNodeName: what names this server runs, what names another one does not,
// pods of manifests and of workloads alike.
func TestNodeName(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		on := func(name string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = name } }
		s := source(desired("here", on("edge")), desired("there", on("core")))
		s.Objects = []pod.Object{deployment("app:1", func(d *appsv1.Deployment) { d.Spec.Template.Spec.NodeName = "core" })}
		a.Publish(s)
		settle(3 * time.Second)
		expect(t, f, "here/app#1.0")
		if there, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "there"}); !strings.Contains(there.Pod.Status.Message, "nodeName is core, this server is edge") {
			t.Errorf("shown as %+v", there.Pod.Status)
		}
		if v := view(t, a); v.Elsewhere != "nodeName is core, this server is edge" {
			t.Errorf("elsewhere for %q", v.Elsewhere)
		}
		s = source()
		s.Objects = []pod.Object{deployment("app:2", func(d *appsv1.Deployment) { d.Spec.Template.Spec.NodeName = "edge" })}
		a.Publish(s)
		settle(3 * time.Second)
		expectImages(t, f, "app:2×3")
	})
}

// Images of a revision to which a rollback or undo would go stay, also when its
// pods are long gone; those of others don't.
func TestImagesOfRevisionsAreKept(t *testing.T) {
	f := newFake()
	f.disk.size = 1000
	for _, image := range []string{"app:1", "app:2", "app:3"} {
		f.store(image, 1, now().Wall)
	}
	restarted(t, f, func(t *testing.T, a *agent.Agent) {
		for _, image := range []string{"app:1", "app:2", "app:3"} {
			a.Publish(objects(deployment(image)))
			settle(time.Minute)
		}
	}, func(t *testing.T, a *agent.Agent) {
		a.Publish(objects(deployment("app:3")))
		settle(time.Minute)
		stored, err := a.StoredImages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, img := range stored {
			kept, _, _ := strings.Cut(img.Kept, "web-")
			got = append(got, kept)
		}
		want := []string{"", "of a revision of Deployment default/web", "used by pod default/"}
		if !slices.Equal(got, want) {
			t.Errorf("kept %q, want %q", got, want)
		}
	})
}

// A pod that was begun when podstead was killed, and has no container yet, is
// made again under its name.
func TestPodThatWasBegunKeepsItsName(t *testing.T) {
	f := newFake()
	f.images["app:1"] = false
	var names []string
	look := func(t *testing.T, a *agent.Agent) {
		a.Publish(objects(deployment("app:1")))
		settle(time.Minute)
		for _, p := range a.Latest().Pods {
			if p.Pod.DeletionTimestamp == nil && !slices.Contains(names, p.Instance.Name) {
				names = append(names, p.Instance.Name)
			}
		}
	}
	restarted(t, f, look, look)
	if len(names) != 3 {
		t.Errorf("pods %v, want 3", names)
	}
}
