package plan_test

import (
	"slices"
	"testing"
	"time"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// A pod that is not wanted any more is told to stop only when it gets no
// traffic, or when the network took too long to see to that.
func TestAServingPodIsStoppedWhenItsTrafficIs(t *testing.T) {
	want, have := restarted(10_000)
	want = plan.Want{Gone: "scaled down"}
	now := pod.Moment(650 * time.Second)
	stops := func(at pod.Moment) (bool, pod.Moment) {
		d := plan.Pod(plan.DefaultSettings(), want, have, at)
		return slices.ContainsFunc(d.Actions, func(a plan.Action) bool { _, ok := a.(plan.Stop); return ok }), d.Wake
	}
	if stopped, _ := stops(now); !stopped {
		t.Fatal("a pod that nobody wants is not stopped")
	}
	number := have.Containers[0].Instance.Number
	have.Serving = map[int]pod.Moment{number: now.Add(2 * time.Second)}
	if d := plan.Pod(plan.DefaultSettings(), want, have, now); !slices.Equal(d.Leaving, []int{number}) {
		t.Errorf("leaving %v, want instance %d", d.Leaving, number)
	}
	if stopped, wake := stops(now); stopped || wake != now.Add(2*time.Second) {
		t.Errorf("while it serves: stopped %v, wake at %v, want it held until %v", stopped, wake, now.Add(2*time.Second))
	}
	if stopped, _ := stops(now.Add(2 * time.Second)); !stopped {
		t.Error("a network that is not set keeps a pod alive")
	}
}
