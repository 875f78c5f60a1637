package agent_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent"
)

// A pod whose link somebody removed is connected anew while it runs.
func TestCutOffPodIsConnectedAnew(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web"), desired("other")))
		settle(time.Second)
		uid := f.uidOf("web")
		before := f.count("sandbox")
		a.CutOff(uid)
		settle(time.Minute)
		if n := f.count("sandbox") - before; n != 1 {
			t.Errorf("it was prepared %d times, want once", n)
		}
		expect(t, f, "other/app#1.0 web/app#1.0")
	})
}

// A warning about a pod is one of its events, and one of the node's if nobody
// knows the pod.
func TestWarningsOfPods(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		a.WarnPod(f.uidOf("web"), "NetworkChanged", "somebody took its route")
		a.WarnPod("nobody", "NetworkChanged", "somebody took its route")
		settle(time.Second)
		expectEvent(t, a, "Pod/web", "pod default/web: somebody took its route")
		expectEvent(t, a, "Node/", "pod with uid nobody: somebody took its route")
	})
}

// What is said of pods before containerd was listed is not lost.
func TestNoticesBeforePodsAreKnown(t *testing.T) {
	f := newFake()
	synctest.Test(t, func(t *testing.T) {
		a, stop := startAgent(t, f)
		a.Publish(source(desired("web")))
		settle(time.Second)
		uid := f.uidOf("web")
		stop()
		f.set(func(f *fake) { f.down = true })
		a, stop = startAgent(t, f)
		defer stop()
		a.Publish(source(desired("web")))
		before := f.count("sandbox")
		for range 2 {
			a.CutOff(uid)
			a.WarnPod(uid, "NetworkChanged", "its link is gone")
		}
		settle(time.Second)
		f.set(func(f *fake) { f.down = false })
		settle(time.Minute)
		expectEvent(t, a, "Pod/web", "pod default/web: its link is gone")
		if n := f.count("sandbox") - before; n != 1 {
			t.Errorf("it was prepared %d times, want once", n)
		}
		expect(t, f, "web/app#1.0")
	})
}

func (f *fake) uidOf(name string) (uid types.UID) {
	f.set(func(f *fake) {
		for u, s := range f.sandboxes {
			if s.Instance.Name == name {
				uid = u
			}
		}
	})
	return uid
}

// expectEvent fails the test unless there is such an event of an object, of which
// kind and the beginning of its name are given.
func expectEvent(t *testing.T, a *agent.Agent, about, message string) {
	t.Helper()
	if !slices.ContainsFunc(a.Latest().Events, func(e corev1.Event) bool {
		return e.Message == message && strings.HasPrefix(e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name, about)
	}) {
		t.Errorf("no event of %s that says %q among %v", about, message, a.Latest().Events)
	}
}
