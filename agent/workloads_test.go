package agent_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/manifest"
	"github.com/podstead/podstead/pod"
)

var web = pod.ObjectKey{Kind: pod.KindDeployment, Key: pod.Key{Namespace: "default", Name: "web"}}

// deployment is one of three pods, changed by the functions, that is watched
// for ten seconds.
func deployment(image string, change ...func(*appsv1.Deployment)) pod.Object {
	d := &appsv1.Deployment{}
	d.Namespace, d.Name = web.Namespace, web.Name
	d.Annotations = map[string]string{pod.WatchSecondsAnnotation: "10"}
	three := int32(3)
	d.Spec.Replicas = &three
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	d.Spec.Template.Labels = map[string]string{"app": "web"}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: image}}
	for _, c := range change {
		c(d)
	}
	o := pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindDeployment, Key: pod.Key{Namespace: "default", Name: d.Name}}, Deployment: d, Origin: pod.Origin{Source: "local", File: "/m/web.yaml", Line: 1, Column: 1}}
	manifest.DefaultObject(&o)
	return o
}

func objects(list ...pod.Object) pod.SourceState {
	s := source()
	s.Objects = list
	return s
}

// images counts the running containers by image, as "app:1×3".
func runningImages(f *fake) string {
	counts := map[string]int{}
	f.set(func(f *fake) {
		for _, c := range f.containers {
			if c.State == pod.StateRunning {
				counts[c.Image.Ref]++
			}
		}
	})
	var list []string
	for _, image := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s×%d", image, counts[image]))
	}
	return strings.Join(list, " ")
}

func expectImages(t *testing.T, f *fake, want string) {
	t.Helper()
	if got := runningImages(f); got != want {
		t.Errorf("running is %q, want %q", got, want)
	}
}

// view is the only workload of the snapshot.
func view(t *testing.T, a *agent.Agent) pod.WorkloadView {
	t.Helper()
	list := a.Latest().Workloads
	if len(list) != 1 {
		t.Fatalf("%d workloads are shown", len(list))
	}
	return list[0]
}

// watched settles in small steps and returns the least and the most containers
// that ran meanwhile.
func watched(f *fake, d time.Duration) (least, most int) {
	least = 1 << 30
	for range d / (20 * time.Millisecond) {
		settle(20 * time.Millisecond)
		n := 0
		f.set(func(f *fake) {
			for _, c := range f.containers {
				if c.State == pod.StateRunning {
					n++
				}
			}
		})
		least, most = min(least, n), max(most, n)
	}
	return least, most
}

func TestDeploymentIsRolledOut(t *testing.T) {
	f := newFake()
	f.delay = 5 * time.Millisecond
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(objects(deployment("app:1")))
		settle(15 * time.Second)
		expectImages(t, f, "app:1×3")
		v := view(t, a)
		if st := v.Deployment.Status; st.AvailableReplicas != 3 || st.ObservedGeneration != 1 || v.Revision != 1 || !v.Revisions[0].Good || v.Deployment.UID == "" {
			t.Errorf("shown as %+v", v)
		}
		a.Publish(objects(deployment("app:2")))
		if least, most := watched(f, 5*time.Second); least < 3 || most != 4 {
			t.Errorf("between %d and %d pods ran, want 3 to 4", least, most)
		}
		expectImages(t, f, "app:2×3")
		if !told(a, "Killing", "replaces it") {
			t.Error("it is not told why pods were ended")
		}
		settle(10 * time.Second)
		v = view(t, a)
		if v.Revision != 2 || len(v.ReplicaSets) != 2 || v.Deployment.Status.UpdatedReplicas != 3 || v.Deployment.Generation != 2 {
			t.Errorf("shown as %+v", v)
		}
		if len(v.Events) == 0 || v.Events[0].InvolvedObject.UID != v.Deployment.UID {
			t.Errorf("events %+v", v.Events)
		}
		for _, p := range a.Latest().Pods {
			owner := metav1.GetControllerOf(p.Pod)
			if owner == nil || owner.Kind != "ReplicaSet" || owner.UID != v.ReplicaSets[1].UID {
				t.Errorf("pod %s belongs to %+v", p.Instance.Key, owner)
			}
		}
		a.Publish(objects())
		settle(time.Second)
		if left := f.running(); left != "" || len(a.Latest().Workloads) > 0 || len(f.records) > 0 {
			t.Errorf("left: %q, %v, %v", left, a.Latest().Workloads, f.records)
		}
	})
}

func TestImageThatCantBeHadHoldsTheRollout(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(objects(deployment("app:1")))
		settle(15 * time.Second)
		a.Publish(objects(deployment("app:9")))
		settle(20 * time.Minute)
		expectImages(t, f, "app:1×3")
		if v := view(t, a); !strings.Contains(v.Held, "app:9") || v.Revision != 1 || f.count("stop") > 0 {
			t.Errorf("held %q, revision %d, calls %v", v.Held, v.Revision, f.calls)
		}
		if n := f.pulls["app:9"]; n < 4 || n > 12 {
			t.Errorf("the image was asked for %d times in 20 minutes", n)
		}
		f.set(func(f *fake) { f.images["app:9"] = true })
		settle(6 * time.Minute)
		expectImages(t, f, "app:9×3")
	})
}

func TestVersionThatCrashesIsTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*appsv1.Deployment)
		reason  string
		message string
	}{
		"in the watch window": {func(*appsv1.Deployment) {}, "Unhealthy", "turned unhealthy 1s after all were ready"},
		"before it was ready": {slow, "CrashLoop", "crashed 3 times"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.crashing = map[string]bool{"app:2": true}
			inBubble(t, f, func(t *testing.T, a *agent.Agent) {
				a.Publish(objects(deployment("app:1", c.change)))
				settle(30 * time.Second)
				a.Publish(objects(deployment("app:2", c.change)))
				settle(time.Minute)
				expectImages(t, f, "app:1×3")
				v := view(t, a)
				if len(v.Revisions) != 2 || v.Revisions[0].Failure == nil {
					t.Fatalf("revisions %+v", v.Revisions)
				}
				if v.Failed() != &v.Revisions[0] || !v.RolledBack() {
					t.Errorf("revision %d is wanted and %d runs", v.Wanted, v.Revision)
				}
				counted := a.Latest().Counters.Rollouts
				if counted[pod.RolloutFailed] != 1 || counted[pod.RolloutRolledBack] != 1 || counted[pod.RolloutComplete] == 0 {
					t.Errorf("counted %v", counted)
				}
				failed := v.Revisions[0].Failure
				if failed.Reason != c.reason || !strings.Contains(failed.Message, c.message) || !strings.Contains(failed.Message, "exit code 3") ||
					len(failed.Pods[0].Events) == 0 || failed.Pods[0].Troubles[0].LogTail[0] != "no database" {
					t.Errorf("failure %+v", failed)
				}
				if took := failed.At.Sub(v.Revisions[0].Created); took > 20*time.Second {
					t.Errorf("it was given up after %s", took)
				}
				starts := f.count("start")
				a.Publish(objects(deployment("app:2", c.change)))
				settle(20 * time.Minute)
				if again := f.count("start"); again != starts {
					t.Errorf("it was tried again: %d starts", again-starts)
				}
				if !told(a, "RolledBack", c.message) {
					t.Error("nobody was told")
				}
			})
		})
	}
}

// What somebody has restarted is not held against the version that runs.
func TestRestartOfAPodIsNoFailure(t *testing.T) {
	f := newFake()
	f.delay = 100 * time.Millisecond
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(objects(deployment("app:1")))
		settle(30 * time.Second)
		a.Publish(objects(deployment("app:2")))
		settle(8 * time.Second)
		for _, p := range a.Latest().Pods {
			if err := a.Restart(t.Context(), p.Instance.Key, ""); err != nil {
				t.Fatal(err)
			}
		}
		settle(15 * time.Second)
		expectImages(t, f, "app:2×3")
		if v := view(t, a); v.Revision != 2 || !v.Revisions[1].Good {
			t.Errorf("shown as %+v", v.Revisions)
		}
	})
}

// restarted runs an agent on what another one left.
func restarted(t *testing.T, f *fake, stories ...func(*testing.T, *agent.Agent)) {
	synctest.Test(t, func(t *testing.T) {
		for _, story := range stories {
			a, stop := startAgent(t, f)
			story(t, a)
			stop()
		}
	})
}

func slow(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 5 }

func TestRolloutGoesOnAfterARestart(t *testing.T) {
	f := newFake()
	var before pod.WorkloadView
	restarted(t, f,
		func(t *testing.T, a *agent.Agent) {
			a.Publish(objects(deployment("app:1", slow)))
			settle(30 * time.Second)
			a.Publish(objects(deployment("app:2", slow)))
			settle(7 * time.Second)
			expectImages(t, f, "app:1×2 app:2×2")
			before = view(t, a)
		},
		func(t *testing.T, a *agent.Agent) {
			settle(time.Second) // no source has published yet
			expectImages(t, f, "app:1×2 app:2×2")
			if v := view(t, a); v.Revision != before.Revision || v.Deployment.Status.ReadyReplicas != 4 {
				t.Errorf("shown as %+v, before %+v", v.Deployment.Status, before.Deployment.Status)
			}
			a.Publish(objects(deployment("app:2", slow)))
			if least, most := watched(f, 30*time.Second); least < 3 || most != 4 {
				t.Errorf("between %d and %d pods ran, want 3 to 4", least, most)
			}
			expectImages(t, f, "app:2×3")
		})
}

func TestLostRecordRestartsNothing(t *testing.T) {
	f := newFake()
	restarted(t, f,
		func(t *testing.T, a *agent.Agent) {
			a.Publish(objects(deployment("app:1")))
			settle(30 * time.Second)
			f.records, f.lost = nil, errors.New("workloads/web is damaged; it was put aside")
		},
		func(t *testing.T, a *agent.Agent) {
			running, stops := f.running(), f.count("stop")
			a.Publish(objects(deployment("app:1")))
			settle(30 * time.Second)
			if got := f.running(); got != running || f.count("stop") != stops {
				t.Errorf("running is %q, was %q, stops %d", got, running, f.count("stop")-stops)
			}
			if v := view(t, a); !told(a, "StateRecovered", "put aside") || v.Revision != 1 || !v.Revisions[0].Good {
				t.Errorf("shown as %+v", v.Revisions)
			}
			if len(f.records) != 1 {
				t.Errorf("%d records are stored", len(f.records))
			}
		})
}

func TestUnreadableIsNotAbsentForWorkloads(t *testing.T) {
	f := newFake()
	unreadable := objects()
	unreadable.Unreadable = []string{"/m/web.yaml"}
	story := func(t *testing.T, a *agent.Agent) {
		for _, s := range []pod.SourceState{objects(deployment("app:1")), unreadable} {
			a.Publish(s)
			settle(30 * time.Second)
			expectImages(t, f, "app:1×3")
		}
		f.kill("app", 1)
		settle(time.Second)
		expectImages(t, f, "app:1×3")
	}
	restarted(t, f, story, func(t *testing.T, a *agent.Agent) {
		settle(time.Minute)
		a.Publish(unreadable)
		settle(time.Minute)
		expectImages(t, f, "app:1×3")
		if v := view(t, a); v.Deployment.Status.AvailableReplicas != 3 {
			t.Errorf("shown as %+v", v.Deployment.Status)
		}
	})
}
