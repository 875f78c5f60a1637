package workload_test

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
)

// form is a manifest in short. What is zero is left out of the object.
type form struct {
	kind            pod.Kind
	image, env      string
	replicas        int32
	surge, missing  string
	minReady        int32
	deadline        int32
	history         int32
	paused          bool
	recreate        bool
	onDelete        bool
	hostPort        int32
	watch           int
	keep            bool // no automatic rollback
	order           string
	folder          string // a hostPath that it writes to
	disk            string // nodeSelector
	tolerations     []corev1.Toleration
	affinity        *corev1.Affinity
	finalizers      []string
	imagePullPolicy corev1.PullPolicy
}

// web is the form that most tests begin with: its progress deadline is a
// minute, its watch window 30 seconds.
func web(image string, replicas int32) form {
	return form{kind: pod.KindDeployment, image: image, replicas: replicas, deadline: 60, watch: 30}
}

func (f form) object() *pod.Object {
	key := pod.Key{Namespace: "default", Name: "web"}
	o := &pod.Object{ObjectKey: pod.ObjectKey{Kind: f.kind, Key: key}, Origin: pod.Origin{Source: "local", File: "web.yaml"}}
	meta := metav1.ObjectMeta{Namespace: "default", Name: "web", Annotations: f.annotations()}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	switch f.kind {
	case pod.KindDeployment:
		o.Deployment = &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
			Replicas: &f.replicas, Selector: selector, Template: f.template(), MinReadySeconds: f.minReady, Paused: f.paused,
			Strategy: appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: amount(f.surge), MaxUnavailable: amount(f.missing)}},
		}}
		s := &o.Deployment.Spec
		s.ProgressDeadlineSeconds, s.RevisionHistoryLimit = given(f.deadline), given(f.history)
		if f.recreate {
			s.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
		}
	case pod.KindReplicaSet:
		o.ReplicaSet = &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{
			Replicas: &f.replicas, Selector: selector, Template: f.template(), MinReadySeconds: f.minReady,
		}}
	case pod.KindDaemonSet:
		o.DaemonSet = &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{
			Selector: selector, Template: f.template(), MinReadySeconds: f.minReady, RevisionHistoryLimit: given(f.history),
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: amount(f.surge), MaxUnavailable: amount(f.missing)}},
		}}
		if f.onDelete {
			o.DaemonSet.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
		}
	}
	return o
}

func (f form) annotations() map[string]string {
	a := map[string]string{pod.WatchSecondsAnnotation: strconv.Itoa(f.watch)}
	if f.keep {
		a[pod.AutoRollbackAnnotation] = "false"
	}
	if f.order != "" {
		a[pod.UpdateOrderAnnotation] = f.order
	}
	return a
}

func (f form) template() corev1.PodTemplateSpec {
	c := corev1.Container{Name: "app", Image: f.image, ImagePullPolicy: f.imagePullPolicy}
	c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
	if f.env != "" {
		c.Env = []corev1.EnvVar{{Name: "A", Value: f.env}}
	}
	if f.hostPort != 0 {
		c.Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: f.hostPort, Protocol: corev1.ProtocolTCP}}
	}
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Finalizers: f.finalizers}}
	t.Spec.Tolerations, t.Spec.Affinity = f.tolerations, f.affinity
	if f.folder != "" {
		c.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
		t.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: f.folder}}}}
	}
	if f.disk != "" {
		t.Spec.NodeSelector = map[string]string{"disk": f.disk}
	}
	t.Spec.Containers = []corev1.Container{c}
	return t
}

func amount(text string) *intstr.IntOrString {
	if text == "" {
		return nil
	}
	v := intstr.Parse(text)
	return &v
}

func given(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return &n
}
