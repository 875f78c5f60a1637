package metrics

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
)

// workloadFamilies are those of Deployments, ReplicaSets and DaemonSets.
func workloadFamilies() []family {
	return slices.Concat(deploymentFamilies(), replicaSetFamilies(), daemonSetFamilies())
}

// ofDeployment is a family with rows for each Deployment.
func ofDeployment(name, help string, each func(v *pod.WorkloadView, row rowOf), extra ...string) family {
	return family{
		name: "kube_deployment_" + name, kind: gauge, help: help, labels: append([]string{"namespace", "deployment"}, extra...),
		each: func(v *view, row emit) {
			for i := range v.snap.Workloads {
				w := &v.snap.Workloads[i]
				if w.Deployment == nil {
					continue
				}
				base := []string{w.Namespace, w.Name}
				each(w, func(value float64, extra ...string) { row(value, base, extra...) })
			}
		},
	}
}

// counting yields one number for each Deployment.
func counting(get func(d *appsv1.Deployment) int32) func(*pod.WorkloadView, rowOf) {
	return func(w *pod.WorkloadView, row rowOf) { row(float64(get(w.Deployment))) }
}

func deploymentFamilies() []family {
	return []family{
		ofDeployment("created", "When the Deployment was first wanted, as Unix time.", func(w *pod.WorkloadView, row rowOf) { created(&w.Deployment.ObjectMeta, row) }),
		ofDeployment("metadata_generation", "How often the spec of the Deployment was changed, and 1.", func(w *pod.WorkloadView, row rowOf) { row(float64(w.Deployment.Generation)) }),
		ofDeployment("status_observed_generation", "The generation that the status is about.", func(w *pod.WorkloadView, row rowOf) { row(float64(w.Deployment.Status.ObservedGeneration)) }),
		ofDeployment("spec_replicas", "Pods that are wanted, whatever people changed against the manifest included.", func(w *pod.WorkloadView, row rowOf) { row(float64(w.Replicas)) }),
		ofDeployment("spec_paused", "1 when rollouts are paused, by the manifest or by people.", func(w *pod.WorkloadView, row rowOf) { row(boolean(w.Paused)) }),
		ofDeployment("spec_strategy_rollingupdate_max_unavailable", "How many pods may be missing in a rolling update.", func(w *pod.WorkloadView, row rowOf) {
			if r := w.Deployment.Spec.Strategy.RollingUpdate; r != nil {
				scaledRow(r.MaxUnavailable, w.Replicas, false, row)
			}
		}),
		ofDeployment("spec_strategy_rollingupdate_max_surge", "How many pods there may be beside those wanted in a rolling update.", func(w *pod.WorkloadView, row rowOf) {
			if r := w.Deployment.Spec.Strategy.RollingUpdate; r != nil {
				scaledRow(r.MaxSurge, w.Replicas, true, row)
			}
		}),
		ofDeployment("status_replicas", "Pods of the Deployment.", counting(func(d *appsv1.Deployment) int32 { return d.Status.Replicas })),
		ofDeployment("status_replicas_ready", "Pods of the Deployment that are ready.", counting(func(d *appsv1.Deployment) int32 { return d.Status.ReadyReplicas })),
		ofDeployment("status_replicas_available", "Pods of the Deployment that have been ready for minReadySeconds.", counting(func(d *appsv1.Deployment) int32 { return d.Status.AvailableReplicas })),
		ofDeployment("status_replicas_unavailable", "Pods that are wanted and not available.", counting(func(d *appsv1.Deployment) int32 { return d.Status.UnavailableReplicas })),
		ofDeployment("status_replicas_updated", "Pods of the revision that is wanted.", counting(func(d *appsv1.Deployment) int32 { return d.Status.UpdatedReplicas })),
		ofDeployment("status_condition", "1 for what is so of a condition of the Deployment, 0 for the others.", func(w *pod.WorkloadView, row rowOf) {
			for _, c := range w.Deployment.Status.Conditions {
				for _, status := range []corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown} {
					row(boolean(c.Status == status), deploymentReason(c.Reason), string(c.Type), strings.ToLower(string(status)))
				}
			}
		}, "reason", "condition", "status"),
	}
}

// deploymentReason keeps to reasons that kube-state-metrics knows and those of
// failed revisions; others are empty, as there.
func deploymentReason(reason string) string {
	switch reason {
	case "MinimumReplicasAvailable", "MinimumReplicasUnavailable", "ReplicaSetUpdated", "NewReplicaSetCreated", "NewReplicaSetAvailable",
		"ProgressDeadlineExceeded", "DeploymentPaused", "DeploymentResumed", "CrashLoop", "Unhealthy":
		return reason
	}
	return ""
}

// scaledRow is a number, or a percentage of n.
func scaledRow(value *intstr.IntOrString, n int32, up bool, row rowOf) {
	if value == nil {
		return
	}
	if scaled, err := intstr.GetScaledValueFromIntOrPercent(value, int(n), up); err == nil {
		row(float64(scaled))
	}
}

func created(o *metav1.ObjectMeta, row rowOf) {
	if !o.CreationTimestamp.IsZero() {
		row(unixTime(o.CreationTimestamp.Time))
	}
}

// ofReplicaSet is a family with rows for each ReplicaSet, those of Deployments
// among them; wanted is how many pods it is to have.
func ofReplicaSet(name, help string, each func(s *appsv1.ReplicaSet, wanted int32, row rowOf), extra ...string) family {
	return family{
		name: "kube_replicaset_" + name, kind: gauge, help: help, labels: append([]string{"namespace", "replicaset"}, extra...),
		each: func(v *view, row emit) {
			one := func(s *appsv1.ReplicaSet, wanted int32) {
				base := []string{s.Namespace, s.Name}
				each(s, wanted, func(value float64, extra ...string) { row(value, base, extra...) })
			}
			for i := range v.snap.Workloads {
				w := &v.snap.Workloads[i]
				if w.ReplicaSet != nil {
					one(w.ReplicaSet, w.Replicas)
				}
				for j := range w.ReplicaSets {
					one(&w.ReplicaSets[j], *w.ReplicaSets[j].Spec.Replicas)
				}
			}
		},
	}
}

func replicaSetFamilies() []family {
	of := func(get func(s *appsv1.ReplicaSet) int64) func(*appsv1.ReplicaSet, int32, rowOf) {
		return func(s *appsv1.ReplicaSet, _ int32, row rowOf) { row(float64(get(s))) }
	}
	return []family{
		ofReplicaSet("created", "When the ReplicaSet was first wanted, as Unix time.", func(s *appsv1.ReplicaSet, _ int32, row rowOf) { created(&s.ObjectMeta, row) }),
		ofReplicaSet("metadata_generation", "How often the spec of the ReplicaSet was changed, and 1.", of(func(s *appsv1.ReplicaSet) int64 { return s.Generation })),
		ofReplicaSet("status_observed_generation", "The generation that the status is about.", of(func(s *appsv1.ReplicaSet) int64 { return s.Status.ObservedGeneration })),
		ofReplicaSet("spec_replicas", "Pods that are wanted of the ReplicaSet.", func(_ *appsv1.ReplicaSet, wanted int32, row rowOf) { row(float64(wanted)) }),
		ofReplicaSet("status_replicas", "Pods of the ReplicaSet.", of(func(s *appsv1.ReplicaSet) int64 { return int64(s.Status.Replicas) })),
		ofReplicaSet("status_fully_labeled_replicas", "Pods of the ReplicaSet that have all labels of its template.", of(func(s *appsv1.ReplicaSet) int64 { return int64(s.Status.FullyLabeledReplicas) })),
		ofReplicaSet("status_ready_replicas", "Pods of the ReplicaSet that are ready.", of(func(s *appsv1.ReplicaSet) int64 { return int64(s.Status.ReadyReplicas) })),
		ofReplicaSet("owner", "Who made the ReplicaSet: a Deployment, or nobody; always 1.", func(s *appsv1.ReplicaSet, _ int32, row rowOf) {
			if owner := metav1.GetControllerOf(s); owner != nil {
				row(1, owner.Kind, owner.Name, "true")
				return
			}
			row(1, "", "", "")
		}, "owner_kind", "owner_name", "owner_is_controller"),
	}
}

// ofDaemonSet is a family with a row for each DaemonSet.
func ofDaemonSet(name, help string, each func(d *appsv1.DaemonSet, row rowOf)) family {
	return family{
		name: "kube_daemonset_" + name, kind: gauge, help: help, labels: []string{"namespace", "daemonset"},
		each: func(v *view, row emit) {
			for i := range v.snap.Workloads {
				if w := &v.snap.Workloads[i]; w.DaemonSet != nil {
					each(w.DaemonSet, func(value float64, extra ...string) { row(value, []string{w.Namespace, w.Name}, extra...) })
				}
			}
		},
	}
}

func daemonSetFamilies() []family {
	of := func(get func(d *appsv1.DaemonSet) int64) func(*appsv1.DaemonSet, rowOf) {
		return func(d *appsv1.DaemonSet, row rowOf) { row(float64(get(d))) }
	}
	return []family{
		ofDaemonSet("created", "When the DaemonSet was first wanted, as Unix time.", func(d *appsv1.DaemonSet, row rowOf) { created(&d.ObjectMeta, row) }),
		ofDaemonSet("metadata_generation", "How often the spec of the DaemonSet was changed, and 1.", of(func(d *appsv1.DaemonSet) int64 { return d.Generation })),
		ofDaemonSet("status_observed_generation", "The generation that the status is about.", of(func(d *appsv1.DaemonSet) int64 { return d.Status.ObservedGeneration })),
		ofDaemonSet("status_desired_number_scheduled", "1 when this server is to run the pod.", of(func(d *appsv1.DaemonSet) int64 { return int64(d.Status.DesiredNumberScheduled) })),
		ofDaemonSet("status_current_number_scheduled", "1 when this server has the pod and is to run it.", of(func(d *appsv1.DaemonSet) int64 { return int64(d.Status.CurrentNumberScheduled) })),
		ofDaemonSet("status_number_misscheduled", "1 when this server has the pod and is not to run it.", of(func(d *appsv1.DaemonSet) int64 { return int64(d.Status.NumberMisscheduled) })),
		ofDaemonSet("status_number_ready", "1 when the pod is ready.", of(func(d *appsv1.DaemonSet) int64 { return int64(d.Status.NumberReady) })),
		ofDaemonSet("status_number_available", "1 when the pod has been ready for minReadySeconds.", of(func(d *appsv1.DaemonSet) int64 { return int64(d.Status.NumberAvailable) })),
		ofDaemonSet("status_number_unavailable", "1 when the pod is to run and is not available.", of(func(d *appsv1.DaemonSet) int64 { return int64(d.Status.NumberUnavailable) })),
		ofDaemonSet("status_updated_number_scheduled", "1 when the pod is of the revision that is wanted.", of(func(d *appsv1.DaemonSet) int64 { return int64(d.Status.UpdatedNumberScheduled) })),
	}
}
