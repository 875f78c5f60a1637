package policy_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

// S21: adding a restriction never admits a pod that was refused before.

func drawPod(t *rapid.T) *corev1.Pod {
	flag := func(label string) *bool {
		return rapid.SampledFrom([]*bool{nil, new(false), new(true)}).Draw(t, label)
	}
	p := podWith(
		rapid.SampledFrom([]int32{0, 80, 443, 8080}).Draw(t, "host port"),
		rapid.SampledFrom([]string{"", "/", "/srv", "/srv/a", "/srvx", "/srv/../etc"}).Draw(t, "host path"))
	p.Namespace = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "namespace")
	p.Spec.HostNetwork = rapid.Bool().Draw(t, "host network")
	p.Spec.OS = rapid.SampledFrom([]*corev1.PodOS{nil, {Name: "linux"}, {Name: "windows"}}).Draw(t, "os")
	p.Spec.HostUsers = flag("host users")
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: flag("pod non-root")}
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		Privileged: flag("privileged"), AllowPrivilegeEscalation: flag("escalation"), RunAsNonRoot: flag("non-root"),
		SeccompProfile: rapid.SampledFrom([]*corev1.SeccompProfile{nil, {Type: "RuntimeDefault"}, {Type: "Unconfined"}}).Draw(t, "seccomp"),
		Capabilities: rapid.SampledFrom([]*corev1.Capabilities{
			nil, {Drop: []corev1.Capability{"ALL"}}, {Add: []corev1.Capability{"CHOWN"}}, {Add: []corev1.Capability{"NET_RAW"}},
		}).Draw(t, "capabilities"),
	}
	return p
}

func drawLevel(t *rapid.T) policy.Level {
	ports := rapid.SampledFrom([]policy.PortRange{{First: 80, Last: 80}, {First: 1, Last: 1024}, {First: 8000, Last: 9000}})
	return policy.Level{
		PodSecurity:    rapid.SampledFrom([]string{"privileged", "baseline", "restricted"}).Draw(t, "level"),
		AllowHostPorts: rapid.SliceOfN(ports, 0, 3).Draw(t, "ports"),
		AllowHostPaths: rapid.SliceOfN(rapid.SampledFrom([]string{"/", "/srv", "/srv/a"}), 0, 3).Draw(t, "paths"),
		Namespaces:     rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID).Draw(t, "namespaces"),
		MaxPods:        rapid.IntRange(0, 4).Draw(t, "max pods"),
		MaxContainers:  rapid.IntRange(0, 9).Draw(t, "max containers"),
	}
}

// restrict adds one restriction.
func restrict(t *rapid.T, l policy.Level) policy.Level {
	switch rapid.IntRange(0, 5).Draw(t, "restriction") {
	case 0:
		l.PodSecurity = map[string]string{"privileged": "baseline"}[l.PodSecurity]
		if l.PodSecurity == "" {
			l.PodSecurity = "restricted"
		}
	case 1:
		l.AllowHostPorts = dropOne(t, l.AllowHostPorts, 0)
	case 2:
		l.AllowHostPaths = dropOne(t, l.AllowHostPaths, 0)
	case 3:
		// No namespaces means all of them, so the last one stays.
		if len(l.Namespaces) == 0 {
			l.Namespaces = []string{"a", "b"}
		}
		l.Namespaces = dropOne(t, l.Namespaces, 1)
	case 4:
		l.MaxPods = lower(t, l.MaxPods)
	default:
		l.MaxContainers = lower(t, l.MaxContainers)
	}
	return l
}

func dropOne[T any](t *rapid.T, list []T, atLeast int) []T {
	if len(list) <= atLeast {
		return list
	}
	i := rapid.IntRange(0, len(list)-1).Draw(t, "dropped")
	return slices.Delete(slices.Clone(list), i, i+1)
}

// lower lowers a bound, of which 0 is the highest.
func lower(t *rapid.T, bound int) int {
	if bound == 0 {
		bound = 10
	}
	return rapid.IntRange(1, bound).Draw(t, "bound")
}

// admitted tells of each object whether it may be used.
func admitted(objects []pod.Object, l policy.Level) map[pod.ObjectKey]bool {
	keys := map[pod.ObjectKey]bool{}
	for i := range objects {
		keys[objects[i].ObjectKey] = len(policy.Check(&objects[i], l)) == 0
	}
	for _, p := range policy.CheckSource(objects, l) {
		keys[p.Object()] = false
	}
	return keys
}

// drawKind makes something else of a pod, or leaves it one.
func drawKind(t *rapid.T, o pod.Object) pod.Object {
	meta := metav1.ObjectMeta{Namespace: o.Pod.Namespace, Name: o.Pod.Name}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: o.Pod.Annotations}, Spec: o.Pod.Spec}
	replicas := int32(rapid.IntRange(0, 4).Draw(t, "replicas"))
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		o.Kind, o.Pod = pod.KindDeployment, nil
		o.Deployment = &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: template}}
	case 1:
		o.Kind, o.Pod = pod.KindReplicaSet, nil
		o.ReplicaSet = &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, Template: template}}
	case 2:
		o.Kind, o.Pod = pod.KindDaemonSet, nil
		o.DaemonSet = &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Template: template}}
	case 3:
		o.Kind, o.Pod = pod.KindService, nil
		o.Service = &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
			Type:  rapid.SampledFrom([]corev1.ServiceType{"ClusterIP", "NodePort", "LoadBalancer"}).Draw(t, "type"),
			Ports: []corev1.ServicePort{{Port: drawPort(t), NodePort: rapid.SampledFrom([]int32{0, 30080}).Draw(t, "node port")}},
		}}
	}
	return o
}

func drawPort(t *rapid.T) int32 { return rapid.SampledFrom([]int32{80, 443, 8080}).Draw(t, "port") }

func TestARestrictionNeverAdmitsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		objects := desired(rapid.SliceOfN(rapid.IntRange(1, 5), 1, 5).Draw(t, "containers")...)
		for i := range objects {
			drawn := drawPod(t)
			drawn.Spec.InitContainers = objects[i].Pod.Spec.InitContainers
			drawn.Spec.Containers = append(drawn.Spec.Containers, objects[i].Pod.Spec.Containers[1:]...)
			objects[i].Pod = drawn
			objects[i] = drawKind(t, objects[i])
		}
		loose := drawLevel(t)
		strict := restrict(t, loose)
		before := admitted(objects, loose)
		for key, ok := range admitted(objects, strict) {
			if ok && !before[key] {
				t.Fatalf("%s is refused by %+v and admitted by %+v", key, loose, strict)
			}
		}
	})
}
