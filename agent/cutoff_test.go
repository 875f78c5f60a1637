package agent_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent"
)

// duo is a pod of two containers that are not restarted.
func duo(p *corev1.Pod) {
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	p.Spec.Containers = []corev1.Container{{Name: "one", Image: "app:1"}, {Name: "two", Image: "app:1"}}
}

func TestATeardownThatIsCutOffIsGoneOnWith(t *testing.T) {
	for _, ended := range [][]string{{"one"}, {"two"}, {"one", "two"}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			a, stop := startAgent(t, f)
			a.Publish(source(desired("web", duo)))
			settle(time.Second)
			for _, name := range ended {
				f.kill(name, 0)
				settle(time.Second)
			}
			f.set(func(f *fake) { f.removable = 1 })
			a.Publish(source())
			settle(100 * time.Millisecond) // it is not tried again yet
			stop()

			f.set(func(f *fake) { f.removable = -1 })
			a, stop = startAgent(t, f)
			a.Publish(source(desired("web", duo)))
			settle(time.Minute)
			expect(t, f, "web/one#2.0 web/two#2.0")
			stop()
		})
	}
}

func TestAPodThatIsWantedAgainDuringItsTeardownIsANewOne(t *testing.T) {
	f := newFake()
	f.stuck = errors.New("unmount /v/cache: device or resource busy")
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		a.Publish(source())
		settle(time.Minute)
		a.Publish(source(desired("web")))
		settle(time.Minute)
		expect(t, f, "")
		f.set(func(f *fake) { f.stuck = nil })
		settle(time.Minute)
		expect(t, f, "web/app#2.0")
	})
}
