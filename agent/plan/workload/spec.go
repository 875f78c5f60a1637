package workload

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
)

// spec is what a manifest says of a workload, for all kinds alike.
type spec struct {
	object   *pod.Object
	meta     *metav1.ObjectMeta
	template *corev1.PodTemplateSpec
	selector *metav1.LabelSelector
	// hashLabel is the label of pods that names their revision; empty for
	// kinds that replace no pods.
	hashLabel string
	replicas  int32
	paused    bool
	minReady  time.Duration
	// deadline is 0 for none.
	deadline time.Duration
	// history is how many old revisions are kept.
	history int
	// recreate and onDelete are the strategies besides the rolling update.
	recreate, onDelete bool
	// oneAtATime: a pod starts only when the one before it is gone.
	oneAtATime     bool
	surge, missing *intstr.IntOrString
	rollback       bool
	watch          time.Duration
	order          string
}

// noDeadline is the progressDeadlineSeconds that stands for none.
const noDeadline = 1<<31 - 1

// specOf reads an object; it reports false for kinds that have no pods.
func specOf(s Settings, o *pod.Object) (spec, bool) {
	switch {
	case o.Deployment != nil:
		return common(deployment(o.Deployment), o, &o.Deployment.ObjectMeta), true
	case o.DaemonSet != nil:
		return common(daemonSet(s, o.DaemonSet), o, &o.DaemonSet.ObjectMeta), true
	case o.ReplicaSet != nil:
		r := &o.ReplicaSet.Spec
		return common(spec{
			template: &r.Template, selector: r.Selector, replicas: or(r.Replicas, 1), minReady: seconds(r.MinReadySeconds),
		}, o, &o.ReplicaSet.ObjectMeta), true
	default:
		return spec{}, false
	}
}

func common(sp spec, o *pod.Object, meta *metav1.ObjectMeta) spec {
	sp.object, sp.meta = o, meta
	sp.rollback = pod.AutoRollback(meta.Annotations)
	sp.watch = pod.WatchWindow(meta.Annotations)
	sp.order = meta.Annotations[pod.UpdateOrderAnnotation]
	return sp
}

func deployment(d *appsv1.Deployment) spec {
	sp := spec{
		template: &d.Spec.Template, selector: d.Spec.Selector, hashLabel: appsv1.DefaultDeploymentUniqueLabelKey,
		replicas: or(d.Spec.Replicas, 1), paused: d.Spec.Paused, minReady: seconds(d.Spec.MinReadySeconds),
		history: int(or(d.Spec.RevisionHistoryLimit, 10)), recreate: d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType,
	}
	if p := or(d.Spec.ProgressDeadlineSeconds, 600); p != noDeadline {
		sp.deadline = seconds(p)
	}
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		sp.surge, sp.missing = r.MaxSurge, r.MaxUnavailable
	}
	return sp
}

func daemonSet(s Settings, d *appsv1.DaemonSet) spec {
	sp := spec{
		template: &d.Spec.Template, selector: d.Spec.Selector, hashLabel: appsv1.DefaultDaemonSetUniqueLabelKey,
		replicas: 1, minReady: seconds(d.Spec.MinReadySeconds), deadline: s.ProgressDeadline + seconds(d.Spec.MinReadySeconds),
		history: int(or(d.Spec.RevisionHistoryLimit, 10)), onDelete: d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType,
		oneAtATime: true,
	}
	zero, one := intstr.FromInt32(0), intstr.FromInt32(1)
	sp.surge, sp.missing = &zero, &one
	if r := d.Spec.UpdateStrategy.RollingUpdate; r != nil && r.MaxSurge != nil {
		sp.surge = r.MaxSurge
	}
	if r := d.Spec.UpdateStrategy.RollingUpdate; r != nil && r.MaxUnavailable != nil {
		sp.missing = r.MaxUnavailable
	}
	return sp
}

// bounds are how many pods there may be above the wanted number, and how many
// available ones may be missing from it: as the manifest says, percentages of
// n rounded as in Kubernetes. Where both are 0, one may be missing.
func (sp *spec) bounds(n int) (surge, missing int) {
	if sp.recreate {
		return 0, n
	}
	daemon := sp.object.DaemonSet != nil
	surge = scaled(sp.surge, n, true)
	missing = min(scaled(sp.missing, n, daemon), n)
	if surge == 0 && missing == 0 {
		missing = 1
	}
	return surge, missing
}

// scaled is a number, or a percentage of n; 25 % where it is left out or no
// number.
func scaled(v *intstr.IntOrString, n int, up bool) int {
	quarter := intstr.FromString("25%")
	if v == nil {
		v = &quarter
	}
	value, err := intstr.GetScaledValueFromIntOrPercent(v, n, up)
	if err != nil {
		value, _ = intstr.GetScaledValueFromIntOrPercent(&quarter, n, up)
	}
	return max(value, 0)
}

func seconds(s int32) time.Duration { return time.Duration(s) * time.Second }

func or[T any](p *T, value T) T {
	if p == nil {
		return value
	}
	return *p
}
