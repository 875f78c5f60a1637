package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestPullPolicyFollowsTheTag(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for image, want := range map[string]corev1.PullPolicy{
		"nginx":                         corev1.PullAlways,
		"nginx:latest":                  corev1.PullAlways,
		"localhost:5000/nginx":          corev1.PullAlways,
		"nginx:latest" + digest:         corev1.PullAlways,
		"nginx:1.27":                    corev1.PullIfNotPresent,
		"nginx" + digest:                corev1.PullIfNotPresent,
		"localhost:5000/nginx:1.27":     corev1.PullIfNotPresent,
		"not an image":                  corev1.PullIfNotPresent,
		"registry.example/latest/x:1.0": corev1.PullIfNotPresent,
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}
		Default(p)
		if got := p.Spec.Containers[0].ImagePullPolicy; got != want {
			t.Errorf("%s: got %s, want %s", image, got, want)
		}
	}
}

func TestRequestsFollowLimits(t *testing.T) {
	amounts := func(cpu, memory string) corev1.ResourceList {
		list := corev1.ResourceList{}
		if cpu != "" {
			list[corev1.ResourceCPU] = resource.MustParse(cpu)
		}
		if memory != "" {
			list[corev1.ResourceMemory] = resource.MustParse(memory)
		}
		return list
	}
	for name, c := range map[string]struct{ limits, requests, want corev1.ResourceList }{
		"nothing":     {nil, nil, nil},
		"no requests": {amounts("1", "64Mi"), nil, amounts("1", "64Mi")},
		"one request": {amounts("1", "64Mi"), amounts("500m", ""), amounts("500m", "64Mi")},
		"no limits":   {nil, amounts("500m", ""), amounts("500m", "")},
		"rounded up":  {amounts("0.0001", ""), nil, amounts("1m", "")},
	} {
		t.Run(name, func(t *testing.T) {
			container := corev1.Container{Resources: corev1.ResourceRequirements{Limits: c.limits, Requests: c.requests}}
			p := &corev1.Pod{Spec: corev1.PodSpec{
				InitContainers: []corev1.Container{*container.DeepCopy()}, Containers: []corev1.Container{container},
			}}
			Default(p)
			for _, list := range containerLists(&p.Spec, "spec") {
				if got := list.containers[0].Resources.Requests; !equality.Semantic.DeepEqual(got, c.want) {
					t.Errorf("%s: %s", list.path, cmp.Diff(c.want, got))
				}
			}
		})
	}
}

func TestWhatIsSetIsKept(t *testing.T) {
	grace, links := int64(0), false
	kind, mount := corev1.HostPathFile, corev1.UnmaskedProcMount
	p := &corev1.Pod{}
	p.Namespace = "shop"
	p.Spec = corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &grace,
		DNSPolicy: corev1.DNSDefault, SchedulerName: "mine", EnableServiceLinks: &links, HostNetwork: true,
		SecurityContext: &corev1.PodSecurityContext{RunAsUser: &grace},
		Containers: []corev1.Container{{
			Image: "nginx", ImagePullPolicy: corev1.PullNever,
			TerminationMessagePath: "/x", TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
			Ports:           []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80, Protocol: corev1.ProtocolUDP}},
			SecurityContext: &corev1.SecurityContext{ProcMount: &mount},
			Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v2"}}}},
		}},
		Volumes: []corev1.Volume{{Name: "a", VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: "/a", Type: &kind}}}},
	}
	want := p.DeepCopy()
	want.APIVersion, want.Kind = "v1", "Pod"
	Default(p)
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
}
