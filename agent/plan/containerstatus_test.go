package plan_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// shop is a pod of one container that waits for what the test says.
func shop() plan.Want {
	p := &corev1.Pod{}
	p.Namespace, p.Name = "default", "web"
	p.Spec.Containers = []corev1.Container{{Name: "app", Image: "shop:9", ImagePullPolicy: corev1.PullIfNotPresent}}
	return plan.Want{Desired: &pod.Desired{Key: pod.Key{Namespace: "default", Name: "web"}, Pod: p}}
}

func waiting(t *testing.T, want plan.Want, have plan.Have) *corev1.ContainerStateWaiting {
	t.Helper()
	views := plan.Views(plan.DefaultSettings(), want, have, 0)
	if len(views) != 1 {
		t.Fatalf("%d views, want one", len(views))
	}
	return views[0].Status.ContainerStatuses[0].State.Waiting
}

// A list of pods has to say that a pod waits for room, not that it is made.
func TestWaitingNamesTheObstacle(t *testing.T) {
	obstacle := plan.Obstacle{Reason: "InsufficientCPU", Message: "pod default/web requests 64 of cpu"}
	blocked, held := shop(), shop()
	blocked.Blocked, held.Waiting = &obstacle, &obstacle
	for name, want := range map[string]plan.Want{"blocked": blocked, "waiting": held} {
		got := waiting(t, want, plan.Have{RuntimeUp: true})
		if got == nil || got.Reason != obstacle.Reason || got.Message != obstacle.Message {
			t.Errorf("%s: shown as %+v, want %+v", name, got, obstacle)
		}
	}
}

// What a pull says names the image already.
func TestWaitingTellsWhatThePullSaidOnce(t *testing.T) {
	const said = `pull "shop:9": not found`
	for count, reason := range map[int]string{1: "ErrImagePull", 2: "ImagePullBackOff"} {
		got := waiting(t, shop(), plan.Have{RuntimeUp: true, Failed: map[string]plan.Failure{
			plan.Pull{Image: "shop:9"}.Name(): {Count: count, Message: said},
		}})
		if got == nil || got.Reason != reason || got.Message != said {
			t.Errorf("after %d failures waiting is %+v, want %s: %s", count, got, reason, said)
		}
	}
}
