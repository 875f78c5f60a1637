package validation_test

import (
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/manifest/validation"
)

func TestSpec(t *testing.T) {
	spec := func(f func(s *corev1.PodSpec)) change {
		return func(p *corev1.Pod, _ *corev1.Container) { f(&p.Spec) }
	}
	grace := func(n int64) change { return spec(func(s *corev1.PodSpec) { s.TerminationGracePeriodSeconds = &n }) }
	deadline := func(n int64) change { return spec(func(s *corev1.PodSpec) { s.ActiveDeadlineSeconds = &n }) }
	checkRules(t, []rule{
		{"restartPolicy", spec(func(s *corev1.PodSpec) { s.RestartPolicy = "Sometimes" }),
			[]string{`spec.restartPolicy: invalid: is not a known value (got "Sometimes", want Always, OnFailure or Never)`},
			spec(func(s *corev1.PodSpec) { s.RestartPolicy = "Never" })},
		{"grace negative", grace(-1),
			[]string{"spec.terminationGracePeriodSeconds: invalid: is out of range (got -1, want 0 to 3600)"}, grace(0)},
		{"grace too long", grace(1e12),
			[]string{"spec.terminationGracePeriodSeconds: invalid: is out of range (got 1000000000000, want 0 to 3600)"}, grace(3600)},
		{"deadline zero", deadline(0),
			[]string{"spec.activeDeadlineSeconds: invalid: is out of range (got 0, want 1 to 2147483647)"}, deadline(1)},
		{"deadline too long", deadline(math.MaxInt32 + 1),
			[]string{"spec.activeDeadlineSeconds: invalid: is out of range (got 2147483648, want 1 to 2147483647)"}, deadline(math.MaxInt32)},
		{"hostname", spec(func(s *corev1.PodSpec) { s.Hostname = "web.example" }),
			[]string{`spec.hostname: invalid-name: must not contain dots (got "web.example")`},
			spec(func(s *corev1.PodSpec) { s.Hostname = "web-1" })},
		{"shared processes of the host", spec(func(s *corev1.PodSpec) { s.HostPID, s.ShareProcessNamespace = true, new(true) }),
			[]string{"spec.shareProcessNamespace: invalid: and hostPID can't both be true: the containers would share the host's processes already (got true, want one of the two)"},
			spec(func(s *corev1.PodSpec) { s.HostPID, s.ShareProcessNamespace = true, new(false) })},
		{"windows", spec(func(s *corev1.PodSpec) { s.OS = &corev1.PodOS{Name: corev1.Windows} }),
			[]string{`spec.os.name: unsupported-field: can't be run: podstead runs Linux containers (got "windows", want linux)`},
			spec(func(s *corev1.PodSpec) { s.OS = &corev1.PodOS{Name: corev1.Linux} })},
		{"user namespace", spec(func(s *corev1.PodSpec) { s.HostUsers = new(false) }),
			[]string{"spec.hostUsers: unsupported-field: can't be had: podstead makes no user namespaces (got false, want true, or the field left out)"},
			spec(func(s *corev1.PodSpec) { s.HostUsers = new(true) })},
	})
}

func TestLimitsAreTheCallers(t *testing.T) {
	p := changed(func(p *corev1.Pod, _ *corev1.Container) { p.Spec.TerminationGracePeriodSeconds = new(int64(7200)) })
	if got := lines(validation.Limits{GraceSeconds: 7200, Containers: 1}.Pod(p)); got != nil {
		t.Errorf("within its limits the pod is refused: %q", got)
	}
	if got := len(validation.Limits{GraceSeconds: 7199, Containers: 0}.Pod(p)); got != 2 {
		t.Errorf("%d errors for a pod beyond both limits, want 2", got)
	}
}
