package validation_test

import (
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/manifest/validation"
)

func secure(s corev1.SecurityContext) change {
	return container(func(k *corev1.Container) { k.SecurityContext = &s })
}

func securePod(s corev1.PodSecurityContext) change {
	return func(p *corev1.Pod, _ *corev1.Container) { p.Spec.SecurityContext = &s }
}

func TestIDs(t *testing.T) {
	type onPod = corev1.PodSecurityContext
	type on = corev1.SecurityContext
	const high, most = int64(1) << 31, int64(1)<<31 - 1
	tooHigh := func(field string) []string {
		return []string{"spec." + field + ": invalid: is out of range (got 2147483648, want 0 to 2147483647)"}
	}
	checkRules(t, []rule{
		{"pod user", securePod(onPod{RunAsUser: new(high)}), tooHigh("securityContext.runAsUser"), securePod(onPod{RunAsUser: new(most)})},
		{"pod group", securePod(onPod{RunAsGroup: new(high)}), tooHigh("securityContext.runAsGroup"), securePod(onPod{RunAsGroup: new(most)})},
		{"fsGroup", securePod(onPod{FSGroup: new(high)}), tooHigh("securityContext.fsGroup"), securePod(onPod{FSGroup: new(most)})},
		{"supplementalGroups", securePod(onPod{SupplementalGroups: []int64{1, high}}), tooHigh("securityContext.supplementalGroups[1]"),
			securePod(onPod{SupplementalGroups: []int64{0, most}})},
		{"user", secure(on{RunAsUser: new(high)}), tooHigh("containers[0].securityContext.runAsUser"), secure(on{RunAsUser: new(most)})},
		{"group", secure(on{RunAsGroup: new(high)}), tooHigh("containers[0].securityContext.runAsGroup"), secure(on{RunAsGroup: new(most)})},
		{"negative", secure(on{RunAsUser: new(int64(-1))}),
			[]string{"spec.containers[0].securityContext.runAsUser: invalid: is out of range (got -1, want 0 to 2147483647)"}, secure(on{RunAsUser: new(int64(0))})},
		{"supplementalGroupsPolicy", securePod(onPod{SupplementalGroupsPolicy: new(corev1.SupplementalGroupsPolicy("None"))}),
			[]string{`spec.securityContext.supplementalGroupsPolicy: invalid: is not a known value (got "None", want Merge or Strict)`},
			securePod(onPod{SupplementalGroupsPolicy: new(corev1.SupplementalGroupsPolicyStrict)})},
		{"fsGroupChangePolicy", securePod(onPod{FSGroupChangePolicy: new(corev1.PodFSGroupChangePolicy("Never"))}),
			[]string{`spec.securityContext.fsGroupChangePolicy: invalid: is not a known value (got "Never", want OnRootMismatch or Always)`},
			securePod(onPod{FSGroupChangePolicy: new(corev1.FSGroupChangeAlways)})},
	})
}

func TestNonRoot(t *testing.T) {
	// both sets user and runAsNonRoot on the pod and on two containers.
	both := func(podUser *int64, podNonRoot *bool, user *int64, nonRoot *bool) change {
		return func(p *corev1.Pod, k *corev1.Container) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: podUser, RunAsNonRoot: podNonRoot}
			k.SecurityContext = &corev1.SecurityContext{RunAsUser: user, RunAsNonRoot: nonRoot}
			second := *k.DeepCopy()
			second.Name = "second"
			p.Spec.Containers = append(p.Spec.Containers, second)
		}
	}
	root, other, yes, no := new(int64(0)), new(int64(1)), new(true), new(false)
	const says = "runAsUser: invalid: is root, and runAsNonRoot is true (got 0, want 1 to 2147483647, or runAsNonRoot: false)"
	ofContainers := []string{"spec.containers[0].securityContext." + says, "spec.containers[1].securityContext." + says}
	ofPod := []string{"spec.securityContext." + says}
	checkRules(t, []rule{
		{"both on the containers", both(nil, nil, root, yes), ofContainers, both(root, yes, other, nil)},
		{"user on the containers", both(nil, yes, root, nil), ofContainers, both(nil, yes, root, no)},
		{"both on the pod", both(root, yes, nil, nil), ofPod, both(root, yes, nil, no)},
		{"user on the pod", both(root, nil, nil, yes), ofPod, both(other, nil, nil, yes)},
		{"user on the pod, containers without a context", securePod(corev1.PodSecurityContext{RunAsUser: root, RunAsNonRoot: yes}), ofPod,
			securePod(corev1.PodSecurityContext{RunAsUser: root, RunAsNonRoot: no})},
	})
}

func TestPrivileges(t *testing.T) {
	type on = corev1.SecurityContext
	no, yes := new(false), new(true)
	add := func(c ...corev1.Capability) *corev1.Capabilities { return &corev1.Capabilities{Add: c} }
	drop := func(c ...corev1.Capability) *corev1.Capabilities { return &corev1.Capabilities{Drop: c} }
	const at = "spec.containers[0].securityContext"
	checkRules(t, []rule{
		{"privileged without escalation", secure(on{Privileged: yes, AllowPrivilegeEscalation: no}),
			[]string{at + ".allowPrivilegeEscalation: invalid: contradicts privileged: true (got false, want true, or privileged: false)"},
			secure(on{Privileged: yes, AllowPrivilegeEscalation: yes})},
		{"SYS_ADMIN without escalation", secure(on{Capabilities: add("SYS_ADMIN"), AllowPrivilegeEscalation: no}),
			[]string{at + ".allowPrivilegeEscalation: invalid: contradicts the added capability SYS_ADMIN (got false, want true, or the capability left out)"},
			secure(on{Capabilities: add("SYS_TIME"), AllowPrivilegeEscalation: no})},
		{"procMount", secure(on{ProcMount: new(corev1.ProcMountType("None"))}),
			[]string{at + `.procMount: invalid: is not a known value (got "None", want Default or Unmasked)`}, secure(on{ProcMount: new(corev1.UnmaskedProcMount)})},
		{"unknown capability", secure(on{Capabilities: add("CHOWN", "CAP_FOO")}),
			[]string{at + `.capabilities.add[1]: invalid: is an unknown capability (got "CAP_FOO", want ALL or a name from capabilities(7), such as NET_ADMIN)`},
			secure(on{Capabilities: add("CHOWN", "ALL")})},
		{"no CAP_ALL", secure(on{Capabilities: drop("CAP_ALL")}),
			[]string{at + `.capabilities.drop[0]: invalid: is an unknown capability (got "CAP_ALL", want ALL or a name from capabilities(7), such as NET_ADMIN)`},
			secure(on{Capabilities: drop("ALL")})},
		{"other spellings", secure(on{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"sys_time", "CAP_KILL"}, Drop: []corev1.Capability{"all"}}}),
			[]string{
				"warning: " + at + `.capabilities.add[0]: invalid: is read as SYS_TIME (got "sys_time", want SYS_TIME)`,
				"warning: " + at + `.capabilities.add[1]: invalid: is read as KILL (got "CAP_KILL", want KILL)`,
				"warning: " + at + `.capabilities.drop[0]: invalid: is read as ALL (got "all", want ALL)`,
			}, secure(on{Capabilities: add("SYS_TIME", "KILL")})},
	})
}

func TestSeccomp(t *testing.T) {
	profile := func(kind corev1.SeccompProfileType, file ...string) *corev1.SeccompProfile {
		s := &corev1.SeccompProfile{Type: kind}
		if len(file) > 0 {
			s.LocalhostProfile = &file[0]
		}
		return s
	}
	on := func(kind corev1.SeccompProfileType, file ...string) change {
		return secure(corev1.SecurityContext{SeccompProfile: profile(kind, file...)})
	}
	const at = "spec.containers[0].securityContext.seccompProfile"
	const needed = at + ".localhostProfile: required: is required with type Localhost (want a file below the folder of seccomp profiles)"
	const relative = ", want a relative path of at most 4095 bytes without .., such as conf/site)"
	checkRules(t, []rule{
		{"no type", on(""), []string{at + ".type: required: is required (want RuntimeDefault, Localhost or Unconfined)"}, on("RuntimeDefault")},
		{"type", on("Default"), []string{at + `.type: invalid: is not a known value (got "Default", want RuntimeDefault, Localhost or Unconfined)`}, on("Unconfined")},
		{"of the pod", securePod(corev1.PodSecurityContext{SeccompProfile: profile("Default")}),
			[]string{`spec.securityContext.seccompProfile.type: invalid: is not a known value (got "Default", want RuntimeDefault, Localhost or Unconfined)`},
			securePod(corev1.PodSecurityContext{SeccompProfile: profile("RuntimeDefault")})},
		{"no file", on("Localhost"), []string{needed}, on("Localhost", "a.json")},
		{"empty file", on("Localhost", ""), []string{needed}, on("Localhost", "a/b.json")},
		{"file ..", on("Localhost", "../a.json"), []string{at + `.localhostProfile: invalid: has a .. in it (got "../a.json"` + relative}, on("Localhost", "..a.json")},
		{"file absolute", on("Localhost", "/a.json"), []string{at + `.localhostProfile: invalid: is absolute (got "/a.json"` + relative}, on("Localhost", "a.json")},
		{"file of another type", on("RuntimeDefault", "a.json"),
			[]string{at + `.localhostProfile: invalid: is only for type Localhost (got "a.json", want the field left out)`}, on("RuntimeDefault")},
	})
}

func TestCapabilityKnowsTheKernels(t *testing.T) {
	for name, number := range map[string]int{"CHOWN": unix.CAP_CHOWN, "SYS_ADMIN": unix.CAP_SYS_ADMIN, "CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE} {
		if number > unix.CAP_LAST_CAP {
			t.Fatalf("%s is beyond the last capability", name)
		}
		for _, spelt := range []string{name, "CAP_" + name, "cap_" + name} {
			if got, known := validation.Capability(spelt); got != name || !known {
				t.Errorf("Capability(%q) = %q, %v", spelt, got, known)
			}
		}
	}
}
