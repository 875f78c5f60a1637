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
