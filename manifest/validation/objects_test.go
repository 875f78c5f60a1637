package validation_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/manifest/validation"
	"github.com/podstead/podstead/pod"
)

// The texts of what is refused are in the golden files of package manifest;
// here are the bounds, each from both sides.

func deployment(change func(*appsv1.Deployment)) *pod.Object {
	p := basePod()
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{
		ObjectMeta: p.ObjectMeta,
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)), ProgressDeadlineSeconds: new(int32(600)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxSurge: new(intstr.FromInt32(1)), MaxUnavailable: new(intstr.FromInt32(0))}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: p.Spec},
		},
	}
	change(d)
	return &pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindDeployment}, Deployment: d}
}

func aService(change func(*corev1.ServiceSpec)) *pod.Object {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, SessionAffinity: corev1.ServiceAffinityClientIP,
			SessionAffinityConfig: &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(60))}},
			Ports:                 []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8080), NodePort: 30080}},
		},
	}
	change(&s.Spec)
	return &pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindService}, Service: s}
}

func TestBoundsOfObjects(t *testing.T) {
	replicas := func(n int32) *pod.Object {
		return deployment(func(d *appsv1.Deployment) { d.Spec.Replicas = &n })
	}
	deadline := func(minReady, deadline int32) *pod.Object {
		return deployment(func(d *appsv1.Deployment) {
			d.Spec.MinReadySeconds, d.Spec.ProgressDeadlineSeconds = minReady, &deadline
		})
	}
	update := func(surge, unavailable string) *pod.Object {
		return deployment(func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate.MaxSurge = new(intstr.Parse(surge))
			d.Spec.Strategy.RollingUpdate.MaxUnavailable = new(intstr.Parse(unavailable))
		})
	}
	watch := func(seconds string) *pod.Object {
		return deployment(func(d *appsv1.Deployment) {
			d.Annotations = map[string]string{pod.WatchSecondsAnnotation: seconds}
		})
	}
	nodePort := func(n int32) *pod.Object {
		return aService(func(s *corev1.ServiceSpec) { s.Ports[0].NodePort = n })
	}
	port := func(n int32) *pod.Object { return aService(func(s *corev1.ServiceSpec) { s.Ports[0].Port = n }) }
	target := func(n int32) *pod.Object {
		return aService(func(s *corev1.ServiceSpec) { s.Ports[0].TargetPort = intstr.FromInt32(n) })
	}
	affinity := func(n int32) *pod.Object {
		return aService(func(s *corev1.ServiceSpec) { s.SessionAffinityConfig.ClientIP.TimeoutSeconds = &n })
	}
	clusterIP := func(ip string) *pod.Object {
		return aService(func(s *corev1.ServiceSpec) { s.ClusterIP, s.ClusterIPs = ip, []string{ip} })
	}
	for name, pair := range map[string]struct{ good, bad *pod.Object }{
		"no replica":            {replicas(0), replicas(-1)},
		"many replicas":         {replicas(1000), replicas(1001)},
		"shortest deadline":     {deadline(5, 6), deadline(5, 5)},
		"deadline without wait": {deadline(0, 1), deadline(0, 0)},
		"one of two":            {update("0", "1"), update("0", "0")},
		"percent of none":       {update("1%", "0%"), update("0%", "0%")},
		"all unavailable":       {update("0", "100%"), update("0", "101%")},
		"large surge":           {update("250%", "0"), update("2.5%", "0")},
		"negative surge":        {update("1", "1"), update("-1", "1")},
		"empty percentage":      {update("5%", "0"), update("%", "0")},
		"shortest watch":        {watch("0"), watch("-1")},
		"longest watch":         {watch("86400"), watch("86401")},
		"watch in seconds":      {watch("90"), watch("90s")},
		"first node port":       {nodePort(30000), nodePort(29999)},
		"last node port":        {nodePort(32767), nodePort(32768)},
		"first port":            {port(1), port(0)},
		"last port":             {port(65535), port(65536)},
		"first target":          {target(1), target(0)},
		"last target":           {target(65535), target(65536)},
		"shortest affinity":     {affinity(1), affinity(0)},
		"longest affinity":      {affinity(86400), affinity(86401)},
		"an IPv4 address":       {clusterIP("10.96.0.1"), clusterIP("10.96.0.256")},
		"an IPv6 address":       {clusterIP("fd00::1"), clusterIP("fe80::1")},
		"an address, no port":   {clusterIP("192.0.2.1"), clusterIP("192.0.2.1:80")},
		"an address, no name":   {clusterIP("192.0.2.2"), clusterIP("None")},
	} {
		if got := lines(validation.Object(pair.good)); len(got) > 0 {
			t.Errorf("%s: the good object is refused: %q", name, got)
		}
		if got := lines(validation.Object(pair.bad)); len(got) != 1 {
			t.Errorf("%s: the bad object gets %q, want one error", name, got)
		}
	}
}

func TestLimitOfReplicasMayBeSet(t *testing.T) {
	o := deployment(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(3)) })
	limits := validation.DefaultLimits()
	limits.Replicas = 2
	want := []string{"spec.replicas: limit: is out of range (got 3, want 0 to 2)"}
	if diff := cmp.Diff(want, lines(limits.Object(o))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestTemplatesAreJudgedAsPods: what is wrong with a pod is wrong with the
// template of it, at the same place below the template.
func TestTemplatesAreJudgedAsPods(t *testing.T) {
	p := basePod()
	k := &p.Spec.Containers[0]
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(0))}
	p.Spec.Volumes[1].HostPath.Path = "relative"
	k.Image = "a b"
	k.VolumeMounts = []corev1.VolumeMount{{Name: "none", MountPath: "/x"}}
	p.Spec.InitContainers = []corev1.Container{{Name: "app", Image: "nginx"}}
	k.Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}, {ContainerPort: 81, HostPort: 80}}
	k.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{}}}
	o := deployment(func(d *appsv1.Deployment) { d.Spec.Template.Spec = p.Spec })
	asPod, asTemplate := validation.Pod(p), validation.Object(o)
	if len(asPod) < 7 || len(asPod) != len(asTemplate) {
		t.Fatalf("as a pod %q\nas a template %q", lines(asPod), lines(asTemplate))
	}
	for i := range asPod {
		if want := "spec.template." + asPod[i].Field; asTemplate[i].Field != want || asTemplate[i].Reason != asPod[i].Reason {
			t.Errorf("as a pod %q, as a template %q", asPod[i], asTemplate[i])
		}
	}
}
