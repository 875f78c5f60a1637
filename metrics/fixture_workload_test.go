package metrics

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
)

func owned(kind, name string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, Controller: &yes}}
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), Generation: 3, CreationTimestamp: at(0)}
}

func workload(kind pod.Kind, name string) pod.WorkloadView {
	return pod.WorkloadView{ObjectKey: pod.ObjectKey{Kind: kind, Key: pod.Key{Namespace: "default", Name: name}}, Revision: 1, Wanted: 1}
}

func replicaSet(name string, wanted, ready int32) appsv1.ReplicaSet {
	return appsv1.ReplicaSet{ObjectMeta: meta(name), Spec: appsv1.ReplicaSetSpec{Replicas: &wanted},
		Status: appsv1.ReplicaSetStatus{Replicas: wanted, FullyLabeledReplicas: wanted, ReadyReplicas: ready, ObservedGeneration: 1}}
}

// workloads are a DaemonSet whose revision failed and stays, a Deployment that
// was rolled back and that people scaled and paused, one that waits for an
// image, and a ReplicaSet of its own.
func workloads() []pod.WorkloadView {
	agent := workload(pod.KindDaemonSet, "agent")
	agent.DaemonSet = &appsv1.DaemonSet{ObjectMeta: meta("agent"), Status: appsv1.DaemonSetStatus{
		ObservedGeneration: 3, DesiredNumberScheduled: 1, CurrentNumberScheduled: 1, UpdatedNumberScheduled: 1, NumberUnavailable: 1}}
	agent.Replicas, agent.Revisions = 1, []pod.RevisionView{{Number: 1, Failure: &pod.RevisionFailure{Reason: "Unhealthy"}}}

	api := workload(pod.KindDeployment, "api")
	api.Replicas, api.Wanted, api.Held = 1, 2, "image api:9 can't be had"
	api.Deployment = &appsv1.Deployment{ObjectMeta: meta("api"), Status: appsv1.DeploymentStatus{ObservedGeneration: 3, Replicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}}
	api.Deployment.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType

	web := workload(pod.KindDeployment, "web")
	web.Replicas, web.Paused, web.Revision, web.Wanted = 5, true, 3, 2
	web.Drift = []string{"replicas is 5, the manifest says 2", "rollouts are paused, the manifest says nothing of that"}
	web.Revisions = []pod.RevisionView{{Number: 2, Failure: &pod.RevisionFailure{Reason: "CrashLoop"}}, {Number: 3, Good: true}}
	two, quarter := int32(2), intstr.FromString("25%")
	web.Deployment = &appsv1.Deployment{ObjectMeta: meta("web"), Spec: appsv1.DeploymentSpec{Replicas: &two,
		Strategy: appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &quarter, MaxUnavailable: &quarter}}},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 5, ReadyReplicas: 4, AvailableReplicas: 3, UnavailableReplicas: 2, UpdatedReplicas: 1,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionFalse, Reason: "MinimumReplicasUnavailable"},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionUnknown, Reason: "made up"},
				{Type: "RolledBack", Status: corev1.ConditionTrue, Reason: "CrashLoop"},
			}}}
	web.ReplicaSets = []appsv1.ReplicaSet{replicaSet("web-54c9", 5, 4), replicaSet("web-77f1", 0, 0)}
	for i := range web.ReplicaSets {
		web.ReplicaSets[i].OwnerReferences = owned("Deployment", "web")
	}

	lone := workload(pod.KindReplicaSet, "lone")
	set := replicaSet("lone", 1, 1)
	lone.ReplicaSet, lone.Replicas, lone.Revision, lone.Wanted = &set, 2, 0, 0
	return []pod.WorkloadView{agent, api, web, lone}
}

func services() []pod.ServiceView {
	public := &corev1.Service{ObjectMeta: meta("public"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.0.9", ExternalIPs: []string{"198.51.100.7"}}}
	public.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {IP: "2001:db8::1"}}
	alias := &corev1.Service{ObjectMeta: meta("alias"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.example.com"}}
	alias.Namespace = "names"
	return []pod.ServiceView{{Service: public}, {Service: alias}}
}
