package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

// desired builds pods a, b, ... with the given numbers of containers; the
// first of them are spread over all lists.
func desired(counts ...int) []pod.Desired {
	var pods []pod.Desired
	for i, n := range counts {
		p := &corev1.Pod{}
		for j := range n {
			switch j % 3 {
			case 0:
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{})
			case 1:
				p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{})
			default:
				p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{})
			}
		}
		name := fmt.Sprintf("%c", 'a'+i)
		pods = append(pods, pod.Desired{Key: pod.Key{Namespace: "default", Name: name}, Pod: p, Origin: pod.Origin{File: "f.yaml", Item: i, Line: i + 1, Column: 1}})
	}
	return pods
}

func problems(list []pod.Problem) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.Key.String()+" "+p.String())
	}
	return out
}

func TestCheckSource(t *testing.T) {
	tests := []struct {
		name  string
		pods  []pod.Desired
		level policy.Level
		want  []string
	}{
		{"no bounds", desired(5, 5), policy.Level{}, nil},
		{"as many as allowed", desired(3, 4), policy.Level{MaxPods: 2, MaxContainers: 7}, nil},
		{"pods", desired(1, 1, 1), policy.Level{MaxPods: 1}, []string{
			"default/b f.yaml:2:1: policy: the source has more pods than it may (got 3, want at most 1)",
			"default/c f.yaml:3:1: policy: the source has more pods than it may (got 3, want at most 1)"}},
		{"containers of every list", desired(3, 4), policy.Level{MaxContainers: 6}, []string{
			"default/b f.yaml:2:1: spec.containers: policy: the source has more containers, counted up to this pod, than it may (got 7, want at most 6)"}},
		{"nothing fits behind a pod that does not", desired(2, 5, 1), policy.Level{MaxContainers: 4}, []string{
			"default/b f.yaml:2:1: spec.containers: policy: the source has more containers, counted up to this pod, than it may (got 7, want at most 4)",
			"default/c f.yaml:3:1: spec.containers: policy: the source has more containers, counted up to this pod, than it may (got 8, want at most 4)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, problems(policy.CheckSource(tt.pods, tt.level))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			slices.Reverse(tt.pods)
			first := tt.pods[0].Key
			if diff := cmp.Diff(tt.want, problems(policy.CheckSource(tt.pods, tt.level))); diff != "" {
				t.Errorf("in another order (-want +got):\n%s", diff)
			}
			if tt.pods[0].Key != first {
				t.Error("the caller's slice was sorted")
			}
		})
	}
}

func TestCheckSourceOrdersConflictsByPlace(t *testing.T) {
	pods := desired(1, 1, 1)
	for i := range pods {
		pods[i].Key.Name = "same"
	}
	pods[0].Origin.File = "g.yaml"
	got := problems(policy.CheckSource(pods, policy.Level{MaxPods: 1}))
	want := []string{
		"default/same f.yaml:3:1: policy: the source has more pods than it may (got 3, want at most 1)",
		"default/same g.yaml:1:1: policy: the source has more pods than it may (got 3, want at most 1)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
