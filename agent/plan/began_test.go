package plan_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// restarted is a pod that began at 0 and of which only the runs from 500 s and
// 600 s on are still recorded.
func restarted(deadline int64) (plan.Want, plan.Have) {
	want := shop()
	want.Desired.Pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	want.Desired.Pod.Spec.ActiveDeadlineSeconds = &deadline
	began := time.Unix(1_700_000_000, 0)
	at := func(seconds int) pod.Stamp {
		d := time.Duration(seconds) * time.Second
		return pod.Stamp{Moment: pod.Moment(d), Wall: began.Add(d)}
	}
	of := pod.Instance{Key: want.Desired.Key, Number: 1}
	have := plan.Have{RuntimeUp: true, LastInstance: 1, Sandboxes: []pod.Sandbox{{
		Instance: of, ID: "s", Ready: true, Created: pod.Stamp{Wall: began},
	}}}
	for i, seconds := range []int{500, 600} {
		have.Containers = append(have.Containers, pod.Container{
			ID: fmt.Sprint("run", i), Name: "app", Role: pod.RoleApp, Instance: of, Attempt: 5 + i, Sandbox: "s",
			Pod: want.Desired.Pod, Image: pod.Image{Ref: "shop:9", Digest: "sha256:1"},
			State: pod.StateDead, Created: at(seconds), Started: at(seconds),
			Exit: &pod.Exit{Code: 1, At: at(seconds + 1)},
		})
	}
	last := &have.Containers[1]
	last.State, last.Exit = pod.StateRunning, nil
	return want, have
}

// A pod that crashes again and again must not put off its deadline by that.
func TestDeadlineCountsFromTheBeginWhateverRunsAreForgotten(t *testing.T) {
	want, have := restarted(700)
	for seconds, stops := range map[int]bool{699: false, 700: true} {
		d := plan.Pod(plan.DefaultSettings(), want, have, pod.Moment(time.Duration(seconds)*time.Second))
		stopped := false
		for _, a := range d.Actions {
			s, ok := a.(plan.Stop)
			stopped = stopped || ok && s.Reason == plan.ReasonDeadline
		}
		if stopped != stops {
			t.Errorf("after %d s of 700 s: actions %v, want the pod stopped: %v", seconds, d.Actions, stops)
		}
	}
}

func TestStartTimeStaysWhenRunsAreForgotten(t *testing.T) {
	want, have := restarted(10_000)
	views := plan.Views(plan.DefaultSettings(), want, have, pod.Moment(650*time.Second))
	if got := views[0].Status.StartTime; got == nil || got.Unix() != 1_700_000_000 {
		t.Errorf("start time %v, want the time of the sandbox", got)
	}
}
