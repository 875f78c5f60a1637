package agent_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

func TestWhatWasNotSeenYetIsNotCalledPending(t *testing.T) {
	f := newFake()
	f.down = true
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(5 * time.Second)
		v, ok := a.Latest().Find(pod.Key{Namespace: "default", Name: "web"})
		if !ok || v.Pod.Status.Phase != corev1.PodUnknown || len(v.Pod.Status.ContainerStatuses) > 0 {
			t.Fatalf("while the runtime is down it is shown as %+v", v.Pod)
		}
		for _, c := range v.Pod.Status.Conditions {
			if c.Status != corev1.ConditionUnknown {
				t.Errorf("condition %s is %s, want Unknown", c.Type, c.Status)
			}
		}
		f.set(func(f *fake) { f.down = false })
		settle(5 * time.Second)
		if v, _ = a.Latest().Find(v.Instance.Key); v.Pod.Status.Phase != corev1.PodRunning {
			t.Errorf("when it is up again the pod is %s", v.Pod.Status.Phase)
		}
	})
}
