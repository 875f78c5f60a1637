package plan_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// An instance whose preparation fails is tried again under its own number,
// after its back-off, and is taken away when nobody wants it any more.
func TestAnInstanceThatCantBePreparedKeepsItsNumber(t *testing.T) {
	wanted := plan.Want{Desired: &pod.Desired{
		Key: pod.Key{Namespace: "default", Name: "web"},
		Pod: &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}}},
	}}
	have := plan.Have{
		RuntimeUp: true, LastInstance: 1, Begun: map[int]bool{1: true},
		Images: map[string]pod.Image{"app:1": {Ref: "app:1", Digest: "sha256:1"}},
		Failed: map[string]plan.Failure{"prepare #1": {Count: 1, At: 100, Message: "no such folder"}},
	}
	s := plan.DefaultSettings()
	retry := pod.Moment(100).Add(s.RetryBase)

	d := plan.Pod(s, wanted, have, retry-1)
	if len(d.Actions) > 0 || d.Wake != retry {
		t.Errorf("during the back-off: %v, wake at %s, want nothing before %s", d.Actions, time.Duration(d.Wake), time.Duration(retry))
	}
	v := plan.Views(s, wanted, have, retry-1)
	if len(v) != 1 || v[0].Status.ContainerStatuses[0].State.Waiting.Message != "no such folder" {
		t.Errorf("it is shown as %+v, want one instance that says why it waits", v)
	}
	d = plan.Pod(s, wanted, have, retry)
	if len(d.Actions) != 1 || d.Actions[0].String() != "prepare #1" {
		t.Errorf("after the back-off: %v, want prepare #1", d.Actions)
	}
	d = plan.Pod(s, plan.Want{Gone: "its manifest was removed"}, have, retry)
	if len(d.Actions) != 1 || d.Actions[0].String() != "teardown #1" {
		t.Errorf("unwanted: %v, want teardown #1", d.Actions)
	}
}

// What a sandbox lacks is told as long as its pod lives.
func TestNotesOfTheSandboxAreTold(t *testing.T) {
	const note = "names can't be looked up"
	want := shop()
	have := plan.Have{RuntimeUp: true, LastInstance: 1, Begun: map[int]bool{1: true}, Sandboxes: []pod.Sandbox{{
		Instance: pod.Instance{Key: want.Desired.Key, Number: 1}, ID: "s1", Ready: true, Notes: []string{note},
	}}}
	if d := plan.Pod(plan.DefaultSettings(), want, have, 0); !slices.Contains(d.Notes, note) {
		t.Errorf("notes %q, want %q among them", d.Notes, note)
	}
}
