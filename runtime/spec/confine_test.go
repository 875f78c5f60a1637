package spec_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

func localhost(path string) *corev1.SeccompProfile {
	return &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: &path}
}

// A Localhost profile that can't be used must not mean "unconfined"
// (CVE-2023-2431).
func TestSeccompFailsClosed(t *testing.T) {
	for name, content := range map[string]string{
		"missing":             "",
		"blank":               " \n",
		"no JSON":             "SCMP_ACT_ALLOW",
		"null":                "null",
		"empty object":        "{}",
		"unknown default":     `{"defaultAction":"ALLOW"}`,
		"unknown action":      `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"yes"}]}`,
		"condition of docker": `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}}]}`,
		"two objects":         localhostProfile + localhostProfile,
		"cut off":             localhostProfile[:60],
	} {
		t.Run(name, func(t *testing.T) {
			p := webPod()
			security(p).SeccompProfile = localhost("p.json")
			in := input(p)
			in.SeccompProfile = []byte(content)
			wantRefused(t, in, "CreateContainerConfigError", "seccompProfile.localhostProfile", "p.json")
		})
	}
	for _, path := range []string{"", "/etc/p.json", "../p.json", "a/../../p.json"} {
		p := webPod()
		security(p).SeccompProfile = localhost(path)
		in := input(p)
		in.SeccompProfile = []byte(localhostProfile)
		wantRefused(t, in, "CreateContainerConfigError", "localhostProfile")
		if file, ok := spec.SeccompFile(p, "app"); ok {
			t.Errorf("SeccompFile names %q, which is not to be read", file)
		}
	}
}

func TestSeccompFile(t *testing.T) {
	p := webPod()
	podSecurity(p).SeccompProfile = localhost("of/pod.json")
	if file, ok := spec.SeccompFile(p, "app"); !ok || file != "of/pod.json" {
		t.Errorf("got %q, %v", file, ok)
	}
	security(p).SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	if file, ok := spec.SeccompFile(p, "app"); ok {
		t.Errorf("got %q for RuntimeDefault", file)
	}
}

func TestConfinementThatTheHostLacks(t *testing.T) {
	p := webPod()
	in := input(p)
	in.Host.Seccomp = false
	if s := build(t, in); s.Linux.Seccomp != nil {
		t.Error("a filter on a host without seccomp")
	}
	security(p).SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	wantRefused(t, in, "CreateContainerConfigError", "no seccomp")

	p = webPod()
	security(p).AppArmorProfile = &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: new("web")}
	in = input(p)
	wantRefused(t, in, "CreateContainerConfigError", "no AppArmor")
	in.Host.AppArmor, in.Host.AppArmorProfiles = true, []string{spec.AppArmorDefault}
	wantRefused(t, in, "CreateContainerConfigError", `"web"`, "not loaded")
	in.Host.AppArmorProfiles = []string{"web"}
	if got := build(t, in).Process.ApparmorProfile; got != "web" {
		t.Errorf("AppArmor profile %q, want web", got)
	}
	podSecurity(p).AppArmorProfile, security(p).AppArmorProfile = security(p).AppArmorProfile, nil
	if got := build(t, in).Process.ApparmorProfile; got != "web" {
		t.Errorf("AppArmor profile %q, want the pod's", got)
	}
	podSecurity(p).AppArmorProfile = nil
	wantRefused(t, in, "CreateContainerConfigError", spec.AppArmorDefault, "not loaded")
}

func TestNoNewPrivileges(t *testing.T) {
	for _, c := range []struct {
		allow *bool
		want  bool
	}{{nil, false}, {new(true), false}, {new(false), true}} {
		p := webPod()
		security(p).AllowPrivilegeEscalation = c.allow
		if got := build(t, input(p)).Process.NoNewPrivileges; got != c.want {
			t.Errorf("allowPrivilegeEscalation %v: noNewPrivileges %v", c.allow, got)
		}
	}
}

func TestCapabilities(t *testing.T) {
	defaults := build(t, input(webPod())).Process.Capabilities.Bounding
	for name, c := range map[string]struct {
		add, drop []corev1.Capability
		want      []string
	}{
		"drop all":             {nil, []corev1.Capability{"ALL"}, []string{}},
		"drop all, add one":    {[]corev1.Capability{"NET_ADMIN"}, []corev1.Capability{"all"}, []string{"CAP_NET_ADMIN"}},
		"drop wins":            {[]corev1.Capability{"cap_kill"}, []corev1.Capability{"ALL", "KILL"}, []string{}},
		"prefix and case":      {[]corev1.Capability{"Cap_Sys_Time"}, []corev1.Capability{"ALL"}, []string{"CAP_SYS_TIME"}},
		"add what is there":    {[]corev1.Capability{"CHOWN"}, nil, defaults},
		"add all":              {[]corev1.Capability{"ALL"}, nil, []string{"CAP_CHOWN", "CAP_SYS_ADMIN"}},
		"add all but one":      {[]corev1.Capability{"ALL"}, []corev1.Capability{"SYS_ADMIN"}, []string{"CAP_CHOWN"}},
		"add all and drop all": {[]corev1.Capability{"ALL"}, []corev1.Capability{"ALL"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			p := webPod()
			security(p).Capabilities = &corev1.Capabilities{Add: c.add, Drop: c.drop}
			in := input(p)
			in.Host.Capabilities = []string{"CAP_CHOWN", "CAP_SYS_ADMIN"}
			caps := build(t, in).Process.Capabilities
			for _, got := range [][]string{caps.Bounding, caps.Effective, caps.Permitted} {
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("capabilities (-want +got):\n%s", diff)
				}
			}
			if len(caps.Ambient)+len(caps.Inheritable) > 0 {
				t.Errorf("ambient %v, inheritable %v, want none", caps.Ambient, caps.Inheritable)
			}
		})
	}
	for _, bad := range []string{"CAP_NET_RAW", "CAP_MKNOD", "CAP_AUDIT_WRITE"} {
		if slices.Contains(defaults, bad) {
			t.Errorf("%s without being asked for", bad)
		}
	}
}

func TestDefaultFilterFollowsCapabilities(t *testing.T) {
	allowed := func(s *specs.Spec, call string) bool {
		return slices.ContainsFunc(s.Linux.Seccomp.Syscalls, func(c specs.LinuxSyscall) bool {
			return c.Action == specs.ActAllow && slices.Contains(c.Names, call)
		})
	}
	p := webPod()
	if allowed(build(t, input(p)), "mount") {
		t.Error("mount is allowed without CAP_SYS_ADMIN")
	}
	security(p).Capabilities = &corev1.Capabilities{Add: []corev1.Capability{"SYS_ADMIN"}}
	if !allowed(build(t, input(p)), "mount") {
		t.Error("mount is not allowed with CAP_SYS_ADMIN")
	}
}

func TestOOMScoreStaysWithinTheHostsRange(t *testing.T) {
	in := input(webPod())
	for _, c := range []struct {
		asked, want int
		lowest      *int
	}{{-997, -997, nil}, {-997, -500, new(-500)}, {900, 900, new(0)}, {-400, -400, new(-500)}} {
		in.Request.OOMScoreAdj, in.Host.OOMScoreAdjMin = c.asked, c.lowest
		if got := *build(t, in).Process.OOMScoreAdj; got != c.want {
			t.Errorf("asked for %d: got %d, want %d", c.asked, got, c.want)
		}
	}
}

// On version 1 the cgroups' tmpfs is kept read-only by its path, but never a
// mount that the pod put there.
func TestCgroupRootIsReadOnlyOnVersion1(t *testing.T) {
	const root = "/sys/fs/cgroup"
	for name, c := range map[string]struct {
		change func(*corev1.Pod, *spec.Input)
		want   bool
	}{
		"version 1":  {func(_ *corev1.Pod, in *spec.Input) { in.Host.CgroupV2 = false }, true},
		"version 2":  {func(*corev1.Pod, *spec.Input) {}, false},
		"privileged": {func(p *corev1.Pod, in *spec.Input) { in.Host.CgroupV2, security(p).Privileged = false, new(true) }, false},
		"pod's mount": {func(_ *corev1.Pod, in *spec.Input) {
			in.Host.CgroupV2, in.Request.Mounts = false, []pod.Mount{{Source: "/sys", Target: "/sys/"}}
		}, false},
	} {
		p := webPod()
		in := input(p)
		c.change(p, &in)
		if got := slices.Contains(build(t, in).Linux.ReadonlyPaths, root); got != c.want {
			t.Errorf("%s: %s read-only by its path: %v, want %v", name, root, got, c.want)
		}
	}
}

// Device rules that come with the limits are applied after "none at all".
func TestDeviceRulesOfTheLimitsAreKept(t *testing.T) {
	own := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(int64(10)), Access: "r"}
	in := input(webPod())
	in.Request.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{own}}
	want := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}, own}
	if diff := cmp.Diff(want, build(t, in).Linux.Resources.Devices); diff != "" {
		t.Errorf("device rules (-want +got):\n%s", diff)
	}
}
