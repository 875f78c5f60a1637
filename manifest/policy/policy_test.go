package policy_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/manifest/validation"
	"github.com/podstead/podstead/pod"
)

// pod has one host port and one hostPath volume.
func podWith(port int32, path string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "a"}}},
	}
	if port != 0 {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: port, HostPort: port}}
	}
	if path != "" {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}}
	}
	return p
}

// check judges a pod, and a template of it, which must fare no better and no
// worse but for its namespace.
func check(p *corev1.Pod, l policy.Level) []validation.Error {
	errs := policy.Check(&pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindPod}, Pod: p}, l)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace}, Spec: appsv1.DeploymentSpec{
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: p.Annotations, Labels: p.Labels}, Spec: p.Spec}}}
	ofTemplate := policy.Check(&pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindDeployment}, Deployment: d}, l)
	if len(errs) != len(ofTemplate) {
		panic(fmt.Sprintf("as a pod %q, as a template %q", lines(errs), lines(ofTemplate)))
	}
	for i := range errs {
		want := errs[i]
		if want.Field != "metadata.namespace" && len(want.Message) > 0 && want.Field != "spec" {
			want.Field = "spec.template." + want.Field
		}
		if got := ofTemplate[i]; got != want && got.Field != "spec.template.spec" {
			panic(fmt.Sprintf("as a pod %q, as a template %q", errs[i], got))
		}
	}
	return errs
}

func lines(errs []validation.Error) []string {
	var out []string
	for _, e := range errs {
		out = append(out, e.String())
	}
	return out
}

func TestGrantedHostPorts(t *testing.T) {
	l := policy.Level{PodSecurity: "baseline", AllowHostPorts: []policy.PortRange{{First: 80, Last: 80}, {First: 8000, Last: 8010}}}
	for port, allowed := range map[int32]bool{79: false, 80: true, 81: false, 7999: false, 8000: true, 8010: true, 8011: false} {
		p := podWith(port, "")
		if got := check(p, l); (len(got) == 0) != allowed {
			t.Errorf("host port %d: %q", port, lines(got))
		}
		p.Spec.InitContainers, p.Spec.Containers = p.Spec.Containers, []corev1.Container{{Name: "b", Image: "a"}}
		if got := check(p, l); (len(got) == 0) != allowed {
			t.Errorf("host port %d of an init container: %q", port, lines(got))
		}
		p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon(p.Spec.InitContainers[0])}}
		p.Spec.InitContainers = nil
		if got := check(p, l); (len(got) == 0) != allowed {
			t.Errorf("host port %d of an ephemeral container: %q", port, lines(got))
		}
	}
}

func TestGrantedHostPaths(t *testing.T) {
	tests := []struct {
		granted, path string
		allowed       bool
	}{
		{"/srv", "/srv", true},
		{"/srv", "/srv/a/b", true},
		{"/srv", "/srv//a/", true},
		{"/srv/", "/srv/a", true},
		{"/srv", "/srvx", false},
		{"/srv/a", "/srv", false},
		{"/srv", "/srv/../etc", false},
		{"/srv", "/srv/a/../b", false},
		{"/srv", "/etc/../srv", false},
		{"/srv", "srv", false},
		{"/srv", "", false},
		{"/", "/etc", true},
		{"srv", "/srv", false},
		{"", "/srv", false},
		{"/a/..", "/", false},
	}
	for _, tt := range tests {
		p := podWith(0, "/x")
		p.Spec.Volumes[0].HostPath.Path = tt.path
		got := check(p, policy.Level{PodSecurity: "baseline", AllowHostPaths: []string{tt.granted}})
		if (len(got) == 0) != tt.allowed {
			t.Errorf("%q granted, %q mounted: %q", tt.granted, tt.path, lines(got))
		}
	}
}

func TestGrantsLiftNothingElse(t *testing.T) {
	p := podWith(80, "/srv/a")
	p.Spec.HostNetwork = true
	p.Spec.Containers[0].Ports = append(p.Spec.Containers[0].Ports, corev1.ContainerPort{ContainerPort: 81, HostPort: 81})
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "w", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc"}}})
	l := policy.Level{PodSecurity: "baseline", AllowHostPorts: []policy.PortRange{{First: 80, Last: 80}}, AllowHostPaths: []string{"/srv"}}
	want := []string{
		"spec.hostNetwork: policy: is not allowed by Pod Security level baseline (host namespaces) (got true, want false, or the field left out)",
		`spec.volumes[1].hostPath.path: policy: is not allowed by Pod Security level baseline (hostPath volumes) (got "/etc", want another kind of volume, or a path that the source's allowHostPaths allows)`,
		"spec.containers[0].ports[1].hostPort: policy: is not allowed by Pod Security level baseline (hostPort) (got 81, want no hostPort, or one that the source's allowHostPorts allows)",
	}
	if diff := cmp.Diff(want, lines(check(p, l))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRestrictedHonoursGrantedPathsToo(t *testing.T) {
	p := podWith(0, "/srv/a")
	yes, no := true, false
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: "RuntimeDefault"}}
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
	if got := check(p, policy.Level{PodSecurity: "restricted", AllowHostPaths: []string{"/srv"}}); len(got) != 0 {
		t.Errorf("refused: %q", lines(got))
	}
	want := []string{`spec.volumes[0].hostPath.path: policy: is not allowed by Pod Security level restricted (restricted volume types) (got "/srv/a", want emptyDir, or a hostPath that the source's allowHostPaths allows)`}
	if diff := cmp.Diff(want, lines(check(p, policy.Level{PodSecurity: "restricted"}))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What the pod sets is reported once, for the pod; containers are named for
// what they set or lack themselves.
func TestPodAndContainersAreToldApart(t *testing.T) {
	root, other := int64(0), int64(1)
	p := podWith(0, "")
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &root}
	p.Spec.Containers = append(p.Spec.Containers,
		corev1.Container{Name: "b", Image: "a", SecurityContext: &corev1.SecurityContext{RunAsUser: &root}},
		corev1.Container{Name: "c", Image: "a", SecurityContext: &corev1.SecurityContext{RunAsUser: &other}})
	var fields []string
	for _, e := range check(p, policy.Level{PodSecurity: "restricted"}) {
		if e.Message == "is not allowed by Pod Security level restricted (runAsUser=0)" {
			fields = append(fields, e.Field+"="+e.Got)
		}
	}
	want := []string{"spec.securityContext.runAsUser=0", "spec.containers[1].securityContext.runAsUser=0"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// In the library, restricted forgives Windows pods capabilities that baseline
// does not.
func TestRestrictedRefusesWhatBaselineRefuses(t *testing.T) {
	p := podWith(0, "")
	p.Spec.OS = &corev1.PodOS{Name: corev1.Windows}
	yes := true
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes}
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_RAW"}}}
	want := []string{`spec.containers[0].securityContext.capabilities.add[0]: policy: is not allowed by Pod Security level restricted (non-default capabilities) (got "NET_RAW", want a capability that containers have by default)`}
	if diff := cmp.Diff(want, lines(check(p, policy.Level{PodSecurity: "restricted"}))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNamespaces(t *testing.T) {
	p := podWith(0, "")
	l := policy.Level{PodSecurity: "privileged", Namespaces: []string{"a", "b"}}
	want := []string{`metadata.namespace: policy: is not allowed for this source (got "default", want a, b)`}
	if diff := cmp.Diff(want, lines(check(p, l))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, allowed := range [][]string{nil, {"a", "default"}} {
		l.Namespaces = allowed
		if got := check(p, l); len(got) != 0 {
			t.Errorf("namespaces %q: %q", allowed, lines(got))
		}
	}
}

func TestAnUnknownLevelAllowsNothing(t *testing.T) {
	for _, name := range []string{"", "Baseline", "none"} {
		want := []string{`spec: policy: podSecurity: "` + name + `" is no level, want privileged, baseline or restricted: nothing of this source may be used`}
		if diff := cmp.Diff(want, lines(check(podWith(0, ""), policy.Level{PodSecurity: name}))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestLevelValidate(t *testing.T) {
	good := policy.Level{PodSecurity: "baseline", AllowHostPorts: []policy.PortRange{{First: 1, Last: 65535}}, AllowHostPaths: []string{"/", "/srv/..a"}}
	if err := good.Validate(); err != nil {
		t.Errorf("the good level is refused: %v", err)
	}
	ports := func(first, last int32) policy.Level {
		return policy.Level{PodSecurity: "baseline", AllowHostPorts: []policy.PortRange{{First: first, Last: last}}}
	}
	paths := func(p string) policy.Level {
		return policy.Level{PodSecurity: "baseline", AllowHostPaths: []string{p}}
	}
	for _, tt := range []struct {
		level policy.Level
		want  string
	}{
		{policy.Level{}, `podSecurity: "" is no level, want privileged, baseline or restricted`},
		{ports(0, 1), "allowHostPorts: 0-1 is no range of ports, want FIRST-LAST within 1-65535"},
		{ports(1, 65536), "allowHostPorts: 1-65536 is no range of ports, want FIRST-LAST within 1-65535"},
		{ports(2, 1), "allowHostPorts: 2-1 is no range of ports, want FIRST-LAST within 1-65535"},
		{paths("srv"), `allowHostPaths: "srv" is not an absolute path without ".."`},
		{paths("/srv/../etc"), `allowHostPaths: "/srv/../etc" is not an absolute path without ".."`},
		{policy.Level{PodSecurity: "baseline", MaxPods: -1}, "maxPods -1 and maxContainers 0 can't be negative, want 0 for no bound"},
		{policy.Level{PodSecurity: "baseline", MaxContainers: -1}, "maxPods 0 and maxContainers -1 can't be negative, want 0 for no bound"},
	} {
		if err := tt.level.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("%+v: %v, want %s", tt.level, err, tt.want)
		}
	}
}

// A probe or hook that names a host would make podstead ask whatever the host
// can reach.
func TestHostsOfProbesAndHooks(t *testing.T) {
	http := &corev1.HTTPGetAction{Host: "169.254.169.254", Port: intstr.FromInt32(80)}
	for field, set := range map[string]func(*corev1.Container){
		"livenessProbe.httpGet": func(k *corev1.Container) {
			k.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: http}}
		},
		"readinessProbe.tcpSocket": func(k *corev1.Container) {
			k.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Host: http.Host}}}
		},
		"startupProbe.httpGet": func(k *corev1.Container) {
			k.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: http}}
		},
		"lifecycle.postStart.httpGet": func(k *corev1.Container) {
			k.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{HTTPGet: http}}
		},
		"lifecycle.preStop.httpGet": func(k *corev1.Container) {
			k.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: http}}
		},
	} {
		p := podWith(0, "")
		set(&p.Spec.Containers[0])
		got := check(p, policy.Level{PodSecurity: "baseline"})
		if len(got) != 1 || got[0].Field != "spec.containers[0]."+field+".host" || got[0].Reason != pod.ReasonPolicy {
			t.Errorf("%s: got %q", field, lines(got))
		}
		if got := check(p, policy.Level{PodSecurity: "privileged"}); len(got) != 0 {
			t.Errorf("%s, privileged: got %q", field, lines(got))
		}
	}
}
