package plan_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// An edit that can't be had yet stops nothing, neither the pod nor the one
// container that it changes.
func TestBlockedEditsStopNothing(t *testing.T) {
	for name, edit := range map[string]func(*corev1.Pod){
		"what one container is restarted for": func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}}
		},
		"what takes a new pod": func(p *corev1.Pod) { p.Spec.Hostname = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			want, have := restarted(10_000)
			edited := *want.Desired
			edited.Pod = want.Desired.Pod.DeepCopy()
			edit(edited.Pod)
			want.Desired = &edited
			stops := func() bool {
				d := plan.Pod(plan.DefaultSettings(), want, have, pod.Moment(650*time.Second))
				for _, a := range d.Actions {
					if _, ok := a.(plan.Stop); ok {
						return true
					}
				}
				if want.Blocked != nil && !strings.Contains(strings.Join(d.Notes, "\n"), "port 80 is taken; the running version stays") {
					t.Errorf("notes %q, want the obstacle", d.Notes)
				}
				return false
			}
			have.Images = map[string]pod.Image{"shop:9": {Ref: "shop:9", Digest: "sha256:1"}}
			if !stops() {
				t.Error("an edit that nothing is in the way of stops nothing")
			}
			want.Blocked = &plan.Obstacle{Reason: "PortConflict", Message: "port 80 is taken"}
			if stops() {
				t.Error("the running container is stopped for an edit that is blocked")
			}
		})
	}
}
