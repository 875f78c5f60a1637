package agent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

func TestAPodKeepsItsPortBetweenTwoRuns(t *testing.T) {
	f := newFake()
	port := func(p *corev1.Pod) {
		p.Spec.HostNetwork = true
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 4534, HostPort: 4534}}
	}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", port)))
		settle(time.Second)
		a.Publish(source(desired("web", port), desired("api", port)))
		settle(time.Second)
		for _, want := range []string{"web/app#1.1", "web/app#1.2"} {
			f.kill("app", 1)
			settle(11 * time.Second)
			expect(t, f, want)
		}
	})
}

func TestLogsOfForgottenRunsArePruned(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		for range 3 {
			f.kill("app", 1)
			settle(time.Minute)
		}
		expect(t, f, "web/app#1.3")
		pruned := slices.DeleteFunc(slices.Clone(f.calls), func(call string) bool { return !strings.HasPrefix(call, "prune ") })
		if want := []string{"prune /logs/app/0.log", "prune /logs/app/1.log"}; !slices.Equal(pruned, want) {
			t.Errorf("called %q, want %q", pruned, want)
		}
	})
}

func TestAVolumeIsMeasuredBetweenTwoRuns(t *testing.T) {
	f := newFake()
	cache := func(p *corev1.Pod) {
		limit := resource.MustParse("1Mi")
		p.Spec.Volumes = []corev1.Volume{{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}}}}
	}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", cache)))
		settle(time.Second)
		for range 3 {
			f.kill("app", 1)
			settle(21 * time.Second)
		}
		f.kill("app", 1)
		f.set(func(f *fake) { f.usage = 20 << 20 })
		settle(11 * time.Second)
		f.set(func(f *fake) { f.usage = 0 })
		settle(time.Second)
		expect(t, f, "web/app#2.0")
	})
}

func TestAPodGoesFromADiskThatIsFull(t *testing.T) {
	f := newFake()
	f.full = unix.ENOSPC
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		a.Publish(source())
		settle(time.Second)
		if left := a.Latest().Pods; len(left) > 0 {
			t.Errorf("still there: %+v", left)
		}
		if events := fmt.Sprint(a.Latest().Events); !strings.Contains(events, "HistoryUnsaved") {
			t.Error("nobody is told that its number is not recorded")
		}
		a.Publish(source(desired("web")))
		settle(time.Second)
		expect(t, f, "web/app#2.0")
		f.set(func(f *fake) { f.full = nil })
		a.Publish(source())
		settle(time.Second)
		if got := f.history[pod.Key{Namespace: "default", Name: "web"}.String()]; got != 2 {
			t.Errorf("recorded %d, want 2", got)
		}
	})
}
