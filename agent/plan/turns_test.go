package plan_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// Containers of one pod start one after the other. One that crashes at once is
// due again soon, and must not keep those after it from their turn.
func TestStartsTakeTurns(t *testing.T) {
	want, have := restarted(1_000_000)
	spec := &want.Desired.Pod.Spec
	of := have.Containers[0].Instance
	have.Images = map[string]pod.Image{"shop:9": {Ref: "shop:9", Digest: "sha256:1"}}
	at := func(seconds int) pod.Stamp {
		return pod.Stamp{Moment: pod.Moment(time.Duration(seconds) * time.Second), Wall: time.Unix(int64(1_700_000_000+seconds), 0)}
	}
	// ended is when each ended after its third failure in a row, 0 if it never ran.
	for _, tc := range []struct {
		ended [3]int
		first string
	}{
		{[3]int{600, 601, 0}, "c2"},
		{[3]int{601, 600, 602}, "c1"},
		{[3]int{600, 600, 600}, "c0"},
		{[3]int{602, 601, 600}, "c2"},
	} {
		spec.Containers, have.Containers = nil, nil
		for i, ended := range tc.ended {
			name := fmt.Sprint("c", i)
			spec.Containers = append(spec.Containers, corev1.Container{Name: name, Image: "shop:9"})
			if ended > 0 {
				have.Containers = append(have.Containers, pod.Container{
					ID: name, Name: name, Role: pod.RoleApp, Instance: of, Attempt: 3, Sandbox: "s", Failures: 3,
					Pod: want.Desired.Pod, Image: pod.Image{Ref: "shop:9", Digest: "sha256:1"},
					State: pod.StateDead, Created: at(ended), Started: at(ended), Exit: &pod.Exit{Code: 1, At: at(ended)},
				})
			}
		}
		first := ""
		for _, a := range plan.Pod(plan.DefaultSettings(), want, have, at(900).Moment).Actions {
			if s, ok := a.(plan.Start); ok && first == "" {
				first = s.Container
			}
		}
		if first != tc.first {
			t.Errorf("ended at %v: %q starts first, want %s", tc.ended, first, tc.first)
		}
	}
}
