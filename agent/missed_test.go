package agent_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

func TestAnExitBeforeTheStartIsKnownIsSeen(t *testing.T) {
	f := newFake()
	f.brief = true
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("job", func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever })))
		settle(5 * time.Second)
		v, ok := a.Latest().Find(pod.Key{Namespace: "default", Name: "job"})
		if !ok || v.Pod.Status.Phase != corev1.PodSucceeded {
			t.Errorf("shown as %+v, want Succeeded", v)
		}
	})
}

func TestAnExitDuringALookIsSeen(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		f.set(func(f *fake) {
			f.delay = time.Second
			for id := range f.containers {
				go f.changed(id)
			}
		})
		settle(500 * time.Millisecond)
		f.kill("app", 1)
		settle(5 * time.Second)
		expect(t, f, "web/app#1.1")
	})
}
