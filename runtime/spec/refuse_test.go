package spec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

func TestArgs(t *testing.T) {
	for name, c := range map[string]struct{ command, args, want []string }{
		"image's own":         {nil, nil, []string{"/entry", "serve"}},
		"args replace CMD":    {nil, []string{"x"}, []string{"/entry", "x"}},
		"command drops both":  {[]string{"/c"}, nil, []string{"/c"}},
		"command and args":    {[]string{"/c", "1"}, []string{"x"}, []string{"/c", "1", "x"}},
		"no shell in between": {[]string{"/c", "$HOME `id` $((1))"}, nil, []string{"/c", "$HOME `id` $((1))"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := webPod()
			app(p).Command, app(p).Args = c.command, c.args
			if diff := cmp.Diff(c.want, build(t, input(p)).Process.Args); diff != "" {
				t.Errorf("args (-want +got):\n%s", diff)
			}
		})
	}
}

func TestImageIsNotExpanded(t *testing.T) {
	p := webPod()
	app(p).Env = []corev1.EnvVar{{Name: "X", Value: "1"}}
	in := input(p)
	in.Image.Cmd, in.Image.Env = []string{"$(X)"}, []string{"Y=$(X)"}
	s := build(t, in)
	if got := s.Process.Args[1]; got != "$(X)" {
		t.Errorf("CMD became %q", got)
	}
	if got := s.Process.Env[2]; got != "Y=$(X)" {
		t.Errorf("ENV became %q", got)
	}
}

func TestWorkingDir(t *testing.T) {
	for dir, want := range map[string]string{
		"": "/srv", "/": "/", "/a//b/../c/": "/a/c", "/procs": "/procs", "/device": "/device", "/../..": "/",
	} {
		p := webPod()
		app(p).WorkingDir = dir
		in := input(p)
		in.Image.WorkingDir = "/srv"
		if got := build(t, in).Process.Cwd; got != want {
			t.Errorf("workingDir %q: got %q, want %q", dir, got, want)
		}
	}
	for _, dir := range []string{"srv", "./x", "/proc", "/proc/self/fd/7", "/x/../proc/self", "/dev/shm", "/dev", "/a\x00b"} {
		p := webPod()
		app(p).WorkingDir = dir
		wantRefused(t, input(p), "CreateContainerError", "spec.containers[0].workingDir", "want")
		in := input(webPod())
		in.Image.WorkingDir = dir
		wantRefused(t, in, "CreateContainerError", "config.WorkingDir", "nginx:1.27")
	}
}

// refusals are pods and images that can't be started as asked.
var refusals = map[string]struct {
	change func(*corev1.Pod, *spec.Input)
	reason string
	parts  []string
}{
	"no command": {func(_ *corev1.Pod, in *spec.Input) { in.Image = ocispec.ImageConfig{} },
		"CreateContainerError", []string{"spec.containers[0].command", "no command"}},
	"empty command": {func(p *corev1.Pod, _ *spec.Input) { app(p).Command = []string{""} },
		"CreateContainerError", []string{"no command"}},
	"NUL in args": {func(p *corev1.Pod, _ *spec.Input) { app(p).Args = []string{"a\x00b"} },
		"CreateContainerError", []string{"spec.containers[0].args", "NUL", "argument 1"}},
	"NUL in the image's env": {func(_ *corev1.Pod, in *spec.Input) { in.Image.Env = []string{"A=a\x00b"} },
		"CreateContainerError", []string{"NUL", `variable "A"`}},
	"NUL in the image's entrypoint": {func(_ *corev1.Pod, in *spec.Input) { in.Image.Entrypoint = []string{"/x\x00"} },
		"CreateContainerError", []string{"NUL"}},
	"env entry without =": {func(_ *corev1.Pod, in *spec.Input) { in.Image.Env = []string{"JUSTANAME"} },
		"CreateContainerError", []string{"config.Env", "JUSTANAME", "NAME=VALUE"}},
	"image with endless args": {func(_ *corev1.Pod, in *spec.Input) { in.Image.Cmd = []string{strings.Repeat("x", 10<<20)} },
		"CreateContainerError", []string{"E2BIG"}},
	"one long argument": {func(p *corev1.Pod, _ *spec.Input) { app(p).Args = []string{strings.Repeat("x", 128<<10)} },
		"CreateContainerError", []string{"E2BIG", "argument 1", "131072", "131071"}},
	"2 MiB of env in pieces": {func(p *corev1.Pod, _ *spec.Input) {
		for i := range 32 {
			app(p).Env = append(app(p).Env, corev1.EnvVar{Name: "V" + string(rune('A'+i)), Value: strings.Repeat("x", 64<<10)})
		}
	}, "CreateContainerError", []string{"E2BIG", "1048576", "spec.containers[0].env["}},
	"args and env together": {func(p *corev1.Pod, in *spec.Input) {
		for range 9 {
			app(p).Args = append(app(p).Args, strings.Repeat("x", 60<<10))
			in.Image.Env = append(in.Image.Env, "V"+strings.Repeat("V", len(in.Image.Env))+"="+strings.Repeat("x", 60<<10))
		}
	}, "CreateContainerError", []string{"E2BIG", "together"}},
	"doubling variables": {func(p *corev1.Pod, _ *spec.Input) {
		app(p).Env = []corev1.EnvVar{{Name: "A", Value: "xxxxxxxx"}}
		for i := range 200 {
			last := app(p).Env[i].Name
			app(p).Env = append(app(p).Env, corev1.EnvVar{Name: last + "A", Value: "$(" + last + ")$(" + last + ")"})
		}
	}, "CreateContainerError", []string{"E2BIG"}},
	"fieldRef to anything": {func(p *corev1.Pod, _ *spec.Input) { app(p).Env = []corev1.EnvVar{fieldEnv("X", "spec.containers")} },
		"CreateContainerConfigError", []string{"env[0].valueFrom.fieldRef", "spec.containers"}},
	"host without address": {func(p *corev1.Pod, in *spec.Input) {
		app(p).Env = []corev1.EnvVar{fieldEnv("X", "status.hostIP")}
		in.Request.Node.HostIPs = nil
	}, "CreateContainerConfigError", []string{"status.hostIP", "no address yet"}},
	"resource of another container": {func(p *corev1.Pod, _ *spec.Input) {
		e := resourceEnv("X", "limits.cpu", "")
		e.ValueFrom.ResourceFieldRef.ContainerName = "db"
		app(p).Env = []corev1.EnvVar{e}
	}, "CreateContainerConfigError", []string{"containerName", `"db"`}},
	"resource that nobody knows": {func(p *corev1.Pod, _ *spec.Input) {
		app(p).Env = []corev1.EnvVar{resourceEnv("X", "limits.ephemeral-storage", "")}
	}, "CreateContainerConfigError", []string{"resourceFieldRef", "limits.ephemeral-storage"}},
	"config map": {func(p *corev1.Pod, _ *spec.Input) {
		app(p).Env = []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{}}}}
	}, "CreateContainerConfigError", []string{"env[0].valueFrom"}},
	"envFrom": {func(p *corev1.Pod, _ *spec.Input) { app(p).EnvFrom = []corev1.EnvFromSource{{}} },
		"CreateContainerConfigError", []string{"envFrom"}},
	"unknown capability": {func(p *corev1.Pod, _ *spec.Input) {
		security(p).Capabilities = &corev1.Capabilities{Add: []corev1.Capability{"CAP_FOO"}}
	}, "CreateContainerError", []string{"capabilities.add", "unknown capability", "CAP_FOO"}},
	"mount over the root": {func(_ *corev1.Pod, in *spec.Input) { in.Request.Mounts = []pod.Mount{{Source: "/v", Target: "/x/.."}} },
		"CreateContainerConfigError", []string{"volumeMounts", "/x/.."}},
	"relative mount": {func(_ *corev1.Pod, in *spec.Input) { in.Request.Mounts = []pod.Mount{{Source: "/v", Target: "x"}} },
		"CreateContainerConfigError", []string{"volumeMounts"}},
}

func TestRefused(t *testing.T) {
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			p := webPod()
			in := input(p)
			c.change(p, &in)
			wantRefused(t, in, c.reason, c.parts...)
		})
	}
}

// A pod without its sandbox must not get the host's namespaces instead.
func TestMissingSandboxIsAnError(t *testing.T) {
	for name, change := range map[string]func(*pod.StartRequest){
		"network":   func(r *pod.StartRequest) { r.Sandbox.NetNS = "" },
		"ipc":       func(r *pod.StartRequest) { r.Sandbox.IPCNS = "" },
		"uts":       func(r *pod.StartRequest) { r.Sandbox.UTSNS = "" },
		"processes": func(r *pod.StartRequest) { r.Pod.Spec.ShareProcessNamespace = new(true) },
		"container": func(r *pod.StartRequest) { r.Name = "other" },
	} {
		in := input(webPod())
		change(&in.Request)
		if s, err := spec.Build(in); err == nil {
			t.Errorf("%s: built with namespaces %v", name, s.Linux.Namespaces)
		}
		if name == "processes" || name == "container" {
			continue
		}
		in.Request.Role, in.Request.Name = pod.RolePause, pod.PauseName
		if s, err := spec.Build(in); err == nil {
			t.Errorf("%s of pause: built with namespaces %v", name, s.Linux.Namespaces)
		}
	}
}
