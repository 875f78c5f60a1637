package agent_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

// A source that is read again says the same by another list. Nothing is
// decided and described anew because of it.
func TestASourceThatSaysTheSameChangesNoPod(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		web, db := desired("web"), desired("db")
		a.Publish(source(web, db))
		settle(time.Second)
		before := a.Latest()
		again := source(web, db)
		again.LastSuccess = time.Now()
		a.Publish(again)
		settle(time.Second)
		after := a.Latest()
		if after == before {
			t.Fatal("the time of the last success was not published")
		}
		for i := range before.Pods {
			if before.Pods[i].Pod != after.Pods[i].Pod {
				t.Errorf("pod %s was described anew", before.Pods[i].Instance)
			}
		}
		moved := web
		moved.Origin.Line = 7
		a.Publish(source(moved, db))
		settle(time.Second)
		if v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "db"}); v.Pod != after.Pods[0].Pod {
			t.Error("a change of web described db anew")
		}
	})
}

// Events that come later, the same ones again among them, change nothing that
// was handed out, and old ones make room.
func TestEventsOfASnapshotStay(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		problem := func(i int) pod.SourceState {
			s := source()
			s.Problems = []pod.Problem{{Severity: pod.Error, Message: fmt.Sprintf("wrong %d", i), Origin: pod.Origin{Source: "local"}}}
			return s
		}
		same := func(x, y corev1.Event) bool { return x.Name == y.Name && x.Count == y.Count }
		for i := range 1100 {
			a.Publish(problem(i))
		}
		settle(time.Second)
		handed := a.Latest().Events
		if len(handed) != 1000 {
			t.Fatalf("%d events, want the latest 1000", len(handed))
		}
		kept := slices.Clone(handed)
		for _, i := range []int{500, 1099, 2000, 500} {
			a.Publish(problem(i))
			settle(time.Second)
		}
		if !slices.EqualFunc(handed, kept, same) {
			t.Error("the events of an old snapshot changed")
		}
		now := a.Latest().Events
		if last := now[len(now)-1]; len(now) != 1000 || last.Count != 3 || last.Message != kept[len(kept)-600].Message {
			t.Errorf("%d events, the last one is %q, counted %d", len(now), last.Message, last.Count)
		}
	})
}

// What is wrong with a Deployment is told of the Deployment, not of a pod of
// its name.
func TestProblemsOfOtherKindsAreNotThePods(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		web := desired("web")
		s := source(web)
		s.Problems = []pod.Problem{
			{Severity: pod.Error, Reason: pod.ReasonInvalid, Message: "wrong", Kind: pod.KindDeployment, Key: web.Key, Origin: pod.Origin{Source: "local", File: "/m/a.yaml"}},
			{Severity: pod.Warning, Reason: pod.ReasonIgnoredField, Message: "its own", Kind: pod.KindPod, Key: web.Key, Origin: web.Origin},
		}
		a.Publish(s)
		settle(time.Second)
		v, _ := a.Latest().Find(web.Key)
		if len(v.Problems) != 1 || v.Problems[0].Message != "its own" {
			t.Errorf("problems of the pod: %v", v.Problems)
		}
		about := map[string]string{}
		for _, e := range a.Latest().Events {
			about[e.Reason] = e.InvolvedObject.APIVersion + " " + e.InvolvedObject.Kind + " " + e.InvolvedObject.Name
		}
		if about["ManifestInvalid"] != "apps/v1 Deployment web" || about["ManifestWarning"] != "v1 Pod web" {
			t.Errorf("events are about %v", about)
		}
	})
}
