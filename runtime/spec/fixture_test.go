package spec_test

import (
	"errors"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\n" +
		"app:x:1000:1001:the app:/srv:/bin/false\n" +
		"garbled:x:zero:0::/:/bin/sh\n" +
		"wrapped:x:4294967296:4294967296::/:/bin/sh\n"
	group = "root:x:0:\nadm:x:4:app,other\nstaff:x:50:app\napp:x:1001:\ngarbled:x:no:app\n"
)

// webPod is a pod with one container, app.
func webPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web",
			Labels:      map[string]string{"tier": "front"},
			Annotations: map[string]string{"example.com/note": "hello"}},
		Spec: corev1.PodSpec{
			ServiceAccountName: "default",
			Containers:         []corev1.Container{{Name: "app", Image: "nginx:1.27"}},
		},
	}
}

// input is a request to run the container app of a pod on an ordinary host.
func input(p *corev1.Pod) spec.Input {
	const uid = "6f0c3a39-7f7b-5d8c-9a51-0f6c2f5f0a11"
	instance := pod.Instance{Key: pod.Key{Namespace: p.Namespace, Name: p.Name}, Number: 3}
	r := pod.StartRequest{
		ID: pod.ContainerID(uid, "app", 0), Instance: instance, UID: uid, Name: "app", Role: pod.RoleApp,
		Pod:   p,
		Image: pod.Image{Ref: "docker.io/library/nginx:1.27", Digest: "sha256:" + strings.Repeat("0", 64)},
		Sandbox: pod.Sandbox{
			ID: "s1", Instance: instance, UID: uid, Ready: true,
			NetNS: "/run/podstead/ns/6f0c/net", IPCNS: "/run/podstead/ns/6f0c/ipc", UTSNS: "/run/podstead/ns/6f0c/uts",
			ShmDir: "/run/podstead/pods/6f0c/shm", FilesDir: "/run/podstead/pods/6f0c/files", EtcDir: "/run/podstead/pods/6f0c/files/etc",
			Hostname: "web", IPs: []string{"10.99.0.7", "fd00::7"},
		},
		CgroupPath:  "/podstead/burstable/pod6f0c/app",
		OOMScoreAdj: 500,
		Node: pod.Node{
			ID: "n", Name: "node1", HostIPs: []string{"192.0.2.10", "2001:db8::10"},
			Allocatable: corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("3500m"),
				corev1.ResourceMemory: resource.MustParse("2Gi"),
			},
		},
	}
	return spec.Input{
		Request:        r,
		Image:          ocispec.ImageConfig{Entrypoint: []string{"/entry"}, Cmd: []string{"serve"}, Env: []string{"LANG=C.UTF-8"}},
		Passwd:         []byte(passwd),
		Group:          []byte(group),
		TerminationLog: "/run/podstead/pods/6f0c/files/app.0.log",
		Host: spec.Host{CgroupV2: true, Seccomp: true, CPUs: 2,
			Devices: []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229}}},
	}
}

// app returns the container of webPod.
func app(p *corev1.Pod) *corev1.Container { return &p.Spec.Containers[0] }

// security returns the security context of app, to be filled in.
func security(p *corev1.Pod) *corev1.SecurityContext {
	if app(p).SecurityContext == nil {
		app(p).SecurityContext = &corev1.SecurityContext{}
	}
	return app(p).SecurityContext
}

// podSecurity returns the security context of the pod, to be filled in.
func podSecurity(p *corev1.Pod) *corev1.PodSecurityContext {
	if p.Spec.SecurityContext == nil {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	return p.Spec.SecurityContext
}

func build(t *testing.T, in spec.Input) *specs.Spec {
	t.Helper()
	s, err := spec.Build(in)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	return s
}

// wantRefused expects a refusal with a reason, whose text names the pod, the
// container and everything in parts.
func wantRefused(t *testing.T, in spec.Input, reason string, parts ...string) {
	t.Helper()
	s, err := spec.Build(in)
	var refused *pod.Refused
	if !errors.As(err, &refused) || s != nil {
		t.Fatalf("Build: got %v, want a refusal", err)
	}
	if refused.Reason != reason {
		t.Errorf("reason: got %s, want %s (%s)", refused.Reason, reason, refused.Message)
	}
	for _, part := range append(parts, "shop/web", `"app"`, "not started") {
		if !strings.Contains(refused.Message, part) {
			t.Errorf("message %q lacks %q", refused.Message, part)
		}
	}
	if len(refused.Message) > 1000 {
		t.Errorf("message has %d bytes, nobody reads that", len(refused.Message))
	}
}
