package agent_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

// cache gives a pod an emptyDir of at most 1 MiB.
func cache(p *corev1.Pod) {
	limit := resource.MustParse("1Mi")
	p.Spec.Volumes = []corev1.Volume{{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}}}}
}

func TestAPodThatCanNotBeMeasuredKeepsNoOtherFromBeing(t *testing.T) {
	f := newFake()
	slow := pod.Instance{Key: pod.Key{Namespace: "default", Name: "slow"}, Number: 1}
	f.hanging = pod.UID("node", slow)
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("slow", cache), desired("web", cache)))
		settle(15 * time.Second)
		f.set(func(f *fake) { f.usage = 20 << 20 })
		settle(11 * time.Second)
		f.set(func(f *fake) { f.usage = 0 })
		settle(time.Minute)
		expect(t, f, "slow/app#1.0 web/app#2.0")
		notes := func() string {
			v, _ := a.Latest().Find(slow.Key)
			return strings.Join(v.Notes, "\n")
		}
		settle(time.Minute)
		if got := notes(); !strings.Contains(got, `can't be measured`) || !strings.Contains(got, "deadline exceeded") {
			t.Errorf("the slow pod's notes: %q", got)
		}
		f.set(func(f *fake) { f.hanging = "" })
		settle(10 * time.Minute)
		if got := notes(); got != "" {
			t.Errorf("the notes of a pod that is measured again: %q", got)
		}
	})
}

func TestAPodThatOutgrowsItsDiskAgainAndAgainBacksOff(t *testing.T) {
	f := newFake()
	f.usage = 20 << 20
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", cache)))
		settle(5 * time.Minute)
		if n := f.count("start app"); n < 3 || n > 7 {
			t.Errorf("started %d times in five minutes, want it with back-off", n)
		}
		v, _ := a.Latest().Find(pod.Key{Namespace: "default", Name: "web"})
		if w := v.Pod.Status.ContainerStatuses[0].State.Waiting; w == nil || w.Reason != "Evicted" || !strings.Contains(w.Message, "back-off 2m40s after 6 evictions in a row") {
			t.Errorf("waiting %+v", w)
		}
		// A changed manifest may do better, and is tried at once.
		f.set(func(f *fake) { f.usage = 0 })
		a.Publish(source(desired("web", cache, func(p *corev1.Pod) { p.Spec.Containers[0].Image = "app:2" })))
		settle(time.Second)
		expect(t, f, "web/app#7.0")
	})
}
