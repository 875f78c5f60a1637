package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// TestDrainInTurns: the others go first, the critical ones when nothing else
// lives or their time has come, and never before.
func TestDrainInTurns(t *testing.T) {
	const began = pod.Moment(time.Hour)
	drain := plan.Drain{Reason: "the server shuts down", Since: began, GracePeriod: time.Minute, GracePeriodCriticalPods: 10 * time.Second}
	web, dns, idle := pod.Key{Name: "web"}, pod.Key{Name: "dns"}, pod.Key{Name: "idle"}
	others, end := began.Add(50*time.Second), began.Add(time.Minute)
	for name, test := range map[string]struct {
		webLives bool
		after    time.Duration
		dns      *pod.Moment
		wake     pod.Moment
	}{
		"at first":                  {webLives: true, wake: others},
		"while others live":         {webLives: true, after: 49 * time.Second, wake: others},
		"when no other lives":       {after: 3 * time.Second, dns: &end},
		"when its time has come":    {webLives: true, after: 50 * time.Second, dns: &end},
		"when all the time is over": {webLives: true, after: 2 * time.Minute, dns: &end},
	} {
		t.Run(name, func(t *testing.T) {
			wants := map[pod.Key]plan.Want{web: {}, dns: {}, idle: {}}
			wake := drain.Apply(wants, map[pod.Key]plan.Drained{
				web: {Live: test.webLives}, dns: {Live: true, Critical: true},
			}, began.Add(test.after))
			if wake != test.wake {
				t.Errorf("wakes at %v, want %v", wake, test.wake)
			}
			until := map[pod.Key]*pod.Moment{web: &others, dns: test.dns, idle: &others}
			for key, w := range wants {
				var got *pod.Moment
				if w.Halt != nil {
					got = &w.Halt.Deadline
					if w.Halt.Since != began || w.Halt.Reason != drain.Reason {
						t.Errorf("%s is halted by %+v", key.Name, w.Halt)
					}
				}
				if diff := cmp.Diff(until[key], got); diff != "" {
					t.Errorf("the deadline of %s (-want +got):\n%s", key.Name, diff)
				}
			}
		})
	}
}

// TestDrainForGood: everything goes at once and gets the grace it has.
func TestDrainForGood(t *testing.T) {
	desired := &pod.Desired{}
	wants := map[pod.Key]plan.Want{{Name: "web"}: {Desired: desired}, {Name: "dns"}: {Keep: true}}
	drain := plan.Drain{Reason: "podstead is drained", Remove: true}
	if wake := drain.Apply(wants, map[pod.Key]plan.Drained{{Name: "dns"}: {Critical: true, Live: true}}, 1); wake != 0 {
		t.Errorf("wakes at %v", wake)
	}
	gone := plan.Want{Gone: drain.Reason}
	if diff := cmp.Diff(map[pod.Key]plan.Want{{Name: "web"}: gone, {Name: "dns"}: gone}, wants); diff != "" {
		t.Errorf("wants (-want +got):\n%s", diff)
	}
}

func TestCriticalPods(t *testing.T) {
	high, low := int32(2_000_000_000), int32(1_999_999_999)
	for name, test := range map[string]struct {
		spec corev1.PodSpec
		want bool
	}{
		"none":             {},
		"own class":        {spec: corev1.PodSpec{PriorityClassName: "important"}},
		"node critical":    {spec: corev1.PodSpec{PriorityClassName: "system-node-critical"}, want: true},
		"cluster critical": {spec: corev1.PodSpec{PriorityClassName: "system-cluster-critical"}, want: true},
		"by number":        {spec: corev1.PodSpec{Priority: &high}, want: true},
		"just below":       {spec: corev1.PodSpec{Priority: &low}},
	} {
		if got := plan.Critical(&corev1.Pod{Spec: test.spec}); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
