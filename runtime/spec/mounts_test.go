package spec_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/pod"
)

// sources maps targets to sources, and fails on a target that is there twice.
func sources(t *testing.T, s *specs.Spec) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, mount := range s.Mounts {
		if _, twice := m[mount.Destination]; twice {
			t.Errorf("%s is mounted twice", mount.Destination)
		}
		m[mount.Destination] = mount.Source
	}
	return m
}

func TestMountsOfThePodReplaceTheDefaults(t *testing.T) {
	in := input(webPod())
	in.Request.Mounts = []pod.Mount{{Source: "/v/sys", Target: "/sys"}, {Source: "/v/log", Target: "/dev/termination-log"}}
	got := sources(t, build(t, in))
	want := map[string]string{
		"/proc": "proc", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/mqueue": "mqueue",
		"/dev/shm": "/run/podstead/pods/6f0c/shm", "/sys": "/v/sys", "/dev/termination-log": "/v/log",
		"/etc/hosts": "/run/podstead/pods/6f0c/files/etc/hosts", "/etc/hostname": "/run/podstead/pods/6f0c/files/etc/hostname",
		"/etc/resolv.conf": "/run/podstead/pods/6f0c/files/etc/resolv.conf",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
}

func TestPropagationReachesTheRoot(t *testing.T) {
	for want, list := range map[string][]string{"": {"private"}, "rslave": {"private", "rslave"}, "rshared": {"rslave", "rshared", "private"}} {
		in := input(webPod())
		for i, propagation := range list {
			in.Request.Mounts = append(in.Request.Mounts, pod.Mount{Source: "/v", Target: "/m" + strings.Repeat("m", i), Propagation: propagation})
		}
		if got := build(t, in).Linux.RootfsPropagation; got != want {
			t.Errorf("mounts %v: rootfsPropagation %q, want %q", list, got, want)
		}
	}
}

// A limit of 0 is none; then the pod's counts, then what the node has.
func TestLimitThatIsNotSet(t *testing.T) {
	p := webPod()
	app(p).Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("0")}
	app(p).Env = []corev1.EnvVar{resourceEnv("CPU", "limits.cpu", "1m")}
	last := func() string { env := build(t, input(p)).Process.Env; return env[len(env)-1] }
	if got := last(); got != "CPU=3500" {
		t.Errorf("node's limit: got %s, want CPU=3500", got)
	}
	p.Spec.Resources = &corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("2")}}
	if got := last(); got != "CPU=2000" {
		t.Errorf("pod's limit: got %s, want CPU=2000", got)
	}
}

// What is refused for its size must not be made first.
func TestExpansionIsBoundedInMemory(t *testing.T) {
	p := webPod()
	app(p).Env = []corev1.EnvVar{
		{Name: "A", Value: strings.Repeat("x", 100<<10)},
		{Name: "B", Value: strings.Repeat("$(A)", 2000)},
	}
	in := input(p)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	wantRefused(t, in, "CreateContainerError", "E2BIG", "env[1]")
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("refusing took %d bytes of memory, want at most 32 MiB", used)
	}
}
