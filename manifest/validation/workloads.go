package validation

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

func (c *checker) deployment(d *appsv1.Deployment) {
	c.workload(&d.ObjectMeta, rolloutAnnotations())
	at, s := field.NewPath("spec"), &d.Spec
	c.replicas(s.Replicas, &s.Template, at.Child("replicas"))
	c.selector(s.Selector, &s.Template, at)
	c.strategy(&s.Strategy, at.Child("strategy"))
	c.atLeastZero(&s.MinReadySeconds, at.Child("minReadySeconds"))
	c.atLeastZero(s.RevisionHistoryLimit, at.Child("revisionHistoryLimit"))
	c.progressDeadline(s, at.Child("progressDeadlineSeconds"))
	c.template(&s.Template, at.Child("template"))
}

func (c *checker) replicaSet(r *appsv1.ReplicaSet) {
	c.workload(&r.ObjectMeta, nil)
	at, s := field.NewPath("spec"), &r.Spec
	c.replicas(s.Replicas, &s.Template, at.Child("replicas"))
	c.selector(s.Selector, &s.Template, at)
	c.atLeastZero(&s.MinReadySeconds, at.Child("minReadySeconds"))
	c.template(&s.Template, at.Child("template"))
}

func (c *checker) daemonSet(d *appsv1.DaemonSet) {
	c.workload(&d.ObjectMeta, rolloutAnnotations())
	at, s := field.NewPath("spec"), &d.Spec
	c.selector(s.Selector, &s.Template, at)
	c.updateStrategy(&s.UpdateStrategy, at.Child("updateStrategy"))
	c.atLeastZero(&s.MinReadySeconds, at.Child("minReadySeconds"))
	c.atLeastZero(s.RevisionHistoryLimit, at.Child("revisionHistoryLimit"))
	c.template(&s.Template, at.Child("template"))
}

func (c *checker) workload(m *metav1.ObjectMeta, annotations []string) {
	at := field.NewPath("metadata")
	c.metadata(m, at)
	c.ownAnnotations(m.Annotations, at.Child("annotations"), annotations)
}

func (c *checker) replicas(replicas *int32, t *corev1.PodTemplateSpec, at *field.Path) {
	if replicas == nil {
		return
	}
	reason := pod.ReasonLimit
	if *replicas < 0 {
		reason = pod.ReasonInvalid
	}
	c.inRange(at, reason, int64(*replicas), 0, int64(c.limits.Replicas))
	if port := fixedPort(&t.Spec); port != 0 && *replicas > 1 {
		c.warn(at, pod.ReasonInvalidPort, finding{
			"are more than can have the template's hostPort " + itoa(port) + ": one pod runs, the others wait", itoa(*replicas), "1, or a Service instead of the hostPort"})
	}
}

// fixedPort returns a port of the host that each pod of a template wants; 0
// for none.
func fixedPort(s *corev1.PodSpec) int32 {
	for _, k := range s.Containers {
		for _, p := range k.Ports {
			if p.HostPort != 0 {
				return p.HostPort
			}
		}
	}
	return 0
}

func (c *checker) strategy(s *appsv1.DeploymentStrategy, at *field.Path) {
	oneOf(c, at.Child("type"), s.Type, appsv1.RollingUpdateDeploymentStrategyType, appsv1.RecreateDeploymentStrategyType)
	if s.RollingUpdate == nil {
		return
	}
	at = at.Child("rollingUpdate")
	if s.Type == appsv1.RecreateDeploymentStrategyType {
		c.refuse(at, pod.ReasonInvalid, finding{message: "is not for the type Recreate", want: "the field left out, or type: RollingUpdate"})
		return
	}
	unavailable, ok := c.share(s.RollingUpdate.MaxUnavailable, at.Child("maxUnavailable"), 100)
	surge, both := c.share(s.RollingUpdate.MaxSurge, at.Child("maxSurge"), math.MaxInt32)
	if ok && both && unavailable == 0 && surge == 0 {
		c.refuse(at.Child("maxUnavailable"), pod.ReasonInvalid, finding{
			"and maxSurge are both 0: no pod could be replaced", "0", "1 or more in one of the two"})
	}
}

func (c *checker) updateStrategy(s *appsv1.DaemonSetUpdateStrategy, at *field.Path) {
	oneOf(c, at.Child("type"), s.Type, appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType)
	if s.RollingUpdate == nil {
		return
	}
	at = at.Child("rollingUpdate")
	unavailable, ok := c.share(s.RollingUpdate.MaxUnavailable, at.Child("maxUnavailable"), 100)
	surge, both := c.share(s.RollingUpdate.MaxSurge, at.Child("maxSurge"), 100)
	switch {
	case !ok || !both:
	case unavailable == 0 && surge == 0:
		c.refuse(at.Child("maxUnavailable"), pod.ReasonInvalid, finding{
			"and maxSurge are both 0: the pod could not be replaced", "0", "1 in one of the two"})
	case unavailable != 0 && surge != 0:
		c.refuse(at.Child("maxSurge"), pod.ReasonInvalid, finding{
			"stands beside a maxUnavailable that is not 0", s.RollingUpdate.MaxSurge.String(), "maxUnavailable: 0, or maxSurge left out"})
	}
}

// share checks a number of pods or a percentage of them and returns it; ok is
// false if it is neither.
func (c *checker) share(v *intstr.IntOrString, at *field.Path, mostPercent int) (number int, ok bool) {
	if v == nil {
		return 0, true
	}
	if v.Type == intstr.Int {
		return int(v.IntVal), c.inRange(at, pod.ReasonInvalid, int64(v.IntVal), 0, math.MaxInt32)
	}
	digits, percent := strings.CutSuffix(v.StrVal, "%")
	number, err := strconv.Atoi(digits)
	if !percent || err != nil || digits == "" || strings.ContainsAny(digits, "+-") {
		c.refuse(at, pod.ReasonInvalid, finding{"is no percentage", quote(v.StrVal), "a number of pods, or a percentage such as 25%"})
		return 0, false
	}
	if number > mostPercent {
		c.refuse(at, pod.ReasonInvalid, finding{"is out of range", quote(v.StrVal), fmt.Sprintf("0%% to %d%%", mostPercent)})
		return 0, false
	}
	return number, true
}

func (c *checker) atLeastZero(n *int32, at *field.Path) {
	if n != nil {
		c.inRange(at, pod.ReasonInvalid, int64(*n), 0, math.MaxInt32)
	}
}

// progressDeadline must leave room for a pod to count as available.
func (c *checker) progressDeadline(s *appsv1.DeploymentSpec, at *field.Path) {
	if s.ProgressDeadlineSeconds == nil {
		return
	}
	deadline := *s.ProgressDeadlineSeconds
	if low := max(s.MinReadySeconds, 0); deadline <= low {
		c.refuse(at, pod.ReasonInvalid, finding{
			"is not longer than minReadySeconds: no update could succeed", itoa(deadline), "more than " + itoa(low)})
	}
}

// template checks what the pods of a workload are made from as if it were
// such a pod.
func (c *checker) template(t *corev1.PodTemplateSpec, at *field.Path) {
	c.pod, c.at = &corev1.Pod{ObjectMeta: t.ObjectMeta, Spec: t.Spec}, at
	meta := at.Child("metadata")
	for _, name := range []struct{ field, value string }{{"name", t.Name}, {"namespace", t.Namespace}} {
		if name.value != "" {
			c.warn(meta.Child(name.field), pod.ReasonIgnoredField, finding{
				message: "has no effect: the pods are named after the workload, and are in its namespace", got: quote(name.value)})
		}
	}
	c.labels(t.Labels, meta.Child("labels"))
	c.annotations(t.Annotations, meta.Child("annotations"))
	c.probeAnnotations(t.Annotations, meta.Child("annotations"))
	c.ownAnnotations(t.Annotations, meta.Child("annotations"), nil)
	spec := at.Child("spec")
	if t.Spec.RestartPolicy == corev1.RestartPolicyOnFailure || t.Spec.RestartPolicy == corev1.RestartPolicyNever {
		c.refuse(spec.Child("restartPolicy"), pod.ReasonInvalid, finding{
			"is not for pods that are kept running", quote(string(t.Spec.RestartPolicy)), "Always, or the field left out"})
	}
	if t.Spec.ActiveDeadlineSeconds != nil {
		c.refuse(spec.Child("activeDeadlineSeconds"), pod.ReasonInvalid, finding{
			"is not for pods that are kept running", itoa(*t.Spec.ActiveDeadlineSeconds), "the field left out"})
	}
	c.whole(&t.Spec)
}
