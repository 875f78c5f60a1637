package plan_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// What a pull says names the image already.
func TestWaitingTellsWhatThePullSaidOnce(t *testing.T) {
	const said = `pull "shop:9": not found`
	p := &corev1.Pod{}
	p.Namespace, p.Name = "default", "web"
	p.Spec.Containers = []corev1.Container{{Name: "app", Image: "shop:9", ImagePullPolicy: corev1.PullIfNotPresent}}
	want := plan.Want{Desired: &pod.Desired{Key: pod.Key{Namespace: "default", Name: "web"}, Pod: p}}

	for count, reason := range map[int]string{1: "ErrImagePull", 2: "ImagePullBackOff"} {
		have := plan.Have{RuntimeUp: true, Failed: map[string]plan.Failure{
			plan.Pull{Image: "shop:9"}.Name(): {Count: count, Message: said},
		}}
		views := plan.Views(plan.DefaultSettings(), want, have, 0)
		if len(views) != 1 {
			t.Fatalf("%d views, want one", len(views))
		}
		waiting := views[0].Status.ContainerStatuses[0].State.Waiting
		if waiting == nil || waiting.Reason != reason || waiting.Message != said {
			t.Errorf("after %d failures waiting is %+v, want %s: %s", count, waiting, reason, said)
		}
	}
}
