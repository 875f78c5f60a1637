package plan_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

func TestAFinishedPodIsOneThatDoesNotRunAgain(t *testing.T) {
	spec := func(policy corev1.RestartPolicy, image string) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy, Containers: []corev1.Container{{Name: "app", Image: image}}}}
	}
	never := spec(corev1.RestartPolicyNever, "app:1")
	other := spec(corev1.RestartPolicyNever, "app:1")
	other.Spec.HostNetwork = true
	exited := &pod.Exit{Code: 1, At: pod.Stamp{Moment: 5}}
	cases := []struct {
		name     string
		state    pod.ContainerState
		stopping *pod.Stopping
		recorded *corev1.Pod
		wanted   *corev1.Pod
		want     bool
	}{
		{"ended for good", pod.StateDead, nil, never, never, true},
		{"running", pod.StateRunning, nil, never, never, false},
		{"exited, not collected", pod.StateExited, nil, never, never, false},
		{"to be restarted", pod.StateDead, nil, spec(corev1.RestartPolicyAlways, "app:1"), spec(corev1.RestartPolicyAlways, "app:1"), false},
		{"changed, so it runs anew", pod.StateDead, nil, never, spec(corev1.RestartPolicyNever, "app:2"), false},
		{"changed as a whole, so it runs anew", pod.StateDead, nil, never, other, false},
		{"on its way out", pod.StateDead, &pod.Stopping{Scope: pod.StopPod}, never, never, false},
		{"not wanted", pod.StateDead, nil, never, nil, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			container := pod.Container{ID: "1", Name: "app", Role: pod.RoleApp, State: c.state, Pod: c.recorded, Stopping: c.stopping, Instance: pod.Instance{Number: 1}}
			if c.state == pod.StateDead {
				container.Exit = exited
			}
			w := plan.Want{}
			if c.wanted != nil {
				w.Desired = &pod.Desired{Pod: c.wanted}
			}
			h := plan.Have{RuntimeUp: true, LastInstance: 1, Containers: []pod.Container{container}}
			if got := plan.Finished(w, h, 10); got != c.want {
				t.Errorf("finished: %v, want %v", got, c.want)
			}
			h.Exceeded = map[int]string{1: "a volume outgrew its limit"}
			if plan.Finished(w, h, 10) {
				t.Error("it is finished, though it is to be replaced because it outgrew its limit")
			}
		})
	}
}

func TestAPodWithARunningSidecarIsNotFinished(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	spec := &corev1.Pod{Spec: corev1.PodSpec{
		RestartPolicy:  corev1.RestartPolicyNever,
		InitContainers: []corev1.Container{{Name: "side", RestartPolicy: &always}},
		Containers:     []corev1.Container{{Name: "app"}},
	}}
	of := pod.Instance{Number: 1}
	app := pod.Container{ID: "1", Name: "app", Role: pod.RoleApp, State: pod.StateDead, Exit: &pod.Exit{}, Pod: spec, Instance: of, Sandbox: "s"}
	side := pod.Container{ID: "2", Name: "side", Role: pod.RoleSidecar, State: pod.StateRunning, Pod: spec, Instance: of, Sandbox: "s"}
	h := plan.Have{RuntimeUp: true, LastInstance: 1, Containers: []pod.Container{app, side}, Sandboxes: []pod.Sandbox{{Instance: of, ID: "s", Ready: true}}}
	w := plan.Want{Desired: &pod.Desired{Pod: spec}}
	if plan.Finished(w, h, 10) {
		t.Error("it is finished, though its sidecar runs and may hold a port")
	}
	side.State, side.Exit = pod.StateDead, &pod.Exit{}
	h.Containers = []pod.Container{app, side}
	if !plan.Finished(w, h, 10) {
		t.Error("it is not finished, though its sidecar has ended too")
	}
}
