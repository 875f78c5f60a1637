package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

// desired builds pods a, b, ... with the given numbers of containers; the
// first of them are spread over all lists.
func desired(counts ...int) []pod.Object {
	var pods []pod.Object
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
		pods = append(pods, pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindPod, Key: pod.Key{Namespace: "default", Name: name}}, Pod: p, Origin: pod.Origin{File: "f.yaml", Item: i, Line: i + 1, Column: 1}})
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
		pods  []pod.Object
		level policy.Level
		want  []string
	}{
		{"no bounds", desired(5, 5), policy.Level{}, nil},
		{"as many as allowed", desired(3, 4), policy.Level{MaxPods: 2, MaxContainers: 7}, nil},
		{"pods", desired(1, 1, 1), policy.Level{MaxPods: 1}, []string{
			"default/b f.yaml:2:1: policy: the source has more pods than it may (got 3, want at most 1)",
			"default/c f.yaml:3:1: policy: the source has more pods than it may (got 3, want at most 1)"}},
		{"containers of every list", desired(3, 4), policy.Level{MaxContainers: 6}, []string{
			"default/b f.yaml:2:1: spec.containers: policy: the source has more containers, counted up to this one, than it may (got 7, want at most 6)"}},
		{"nothing fits behind a pod that does not", desired(2, 5, 1), policy.Level{MaxContainers: 4}, []string{
			"default/b f.yaml:2:1: spec.containers: policy: the source has more containers, counted up to this one, than it may (got 7, want at most 4)",
			"default/c f.yaml:3:1: spec.containers: policy: the source has more containers, counted up to this one, than it may (got 8, want at most 4)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, problems(policy.CheckSource(tt.pods, tt.level))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			slices.Reverse(tt.pods)
			first := tt.pods[0].ObjectKey
			if diff := cmp.Diff(tt.want, problems(policy.CheckSource(tt.pods, tt.level))); diff != "" {
				t.Errorf("in another order (-want +got):\n%s", diff)
			}
			if tt.pods[0].ObjectKey != first {
				t.Error("the caller's slice was sorted")
			}
		})
	}
}

func TestCheckSourceOrdersConflictsByPlace(t *testing.T) {
	pods := desired(1, 1, 1)
	for i := range pods {
		pods[i].Name = "same"
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

// workload makes a workload of a kind out of a pod.
func workload(kind pod.Kind, name string, replicas int32, containers int) pod.Object {
	o := desired(containers)[0]
	o.Kind, o.Name = kind, name
	template := corev1.PodTemplateSpec{Spec: o.Pod.Spec}
	o.Pod = nil
	switch kind {
	case pod.KindDeployment:
		o.Deployment = &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: template}}
	case pod.KindReplicaSet:
		o.ReplicaSet = &appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, Template: template}}
	case pod.KindDaemonSet:
		o.DaemonSet = &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: template}}
	}
	return o
}

func TestWorkloadsCountByTheirReplicas(t *testing.T) {
	service := pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindService, Key: pod.Key{Name: "s"}}, Service: &corev1.Service{}}
	objects := []pod.Object{
		service, workload(pod.KindReplicaSet, "r", 2, 1), workload(pod.KindDeployment, "d", 3, 4),
		workload(pod.KindDaemonSet, "e", 9, 1), desired(1)[0], workload(pod.KindDeployment, "f", 0, 9),
	}
	// By kind and key: DaemonSet e 1, Deployments d 3 and f 0, Pod a 1,
	// ReplicaSet r 2; with 1, 12, 0, 1 and 2 containers.
	for _, tt := range []struct {
		level policy.Level
		want  []string
	}{
		{policy.Level{MaxPods: 7, MaxContainers: 16}, nil},
		{policy.Level{MaxPods: 6}, []string{"ReplicaSet default/r f.yaml:1:1: spec.replicas: policy: the source has more pods than it may (got 7, want at most 6)"}},
		{policy.Level{MaxPods: 3}, []string{
			"Deployment default/d f.yaml:1:1: spec.replicas: policy: the source has more pods than it may (got 7, want at most 3)",
			"Deployment default/f f.yaml:1:1: spec.replicas: policy: the source has more pods than it may (got 7, want at most 3)",
			"default/a f.yaml:1:1: policy: the source has more pods than it may (got 7, want at most 3)",
			"ReplicaSet default/r f.yaml:1:1: spec.replicas: policy: the source has more pods than it may (got 7, want at most 3)"}},
		{policy.Level{MaxContainers: 14}, []string{
			"ReplicaSet default/r f.yaml:1:1: spec.template.spec.containers: policy: the source has more containers, counted up to this one, than it may (got 16, want at most 14)"}},
	} {
		var got []string
		for _, p := range policy.CheckSource(objects, tt.level) {
			got = append(got, p.Object().String()+" "+p.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.level, diff)
		}
	}
}
