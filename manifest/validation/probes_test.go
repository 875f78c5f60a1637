package validation_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// liveness sets the liveness probe of the container.
func liveness(p corev1.Probe) change {
	return container(func(k *corev1.Container) { k.LivenessProbe = &p })
}

func command(words ...string) corev1.Probe {
	return corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: words}}}
}

func TestExecCommands(t *testing.T) {
	const at = "spec.containers[0].livenessProbe.exec.command"
	many := func(n int) []string { return strings.Fields(strings.Repeat("1234567 ", n/8)) }
	tooLarge := func(n int) []string {
		return []string{fmt.Sprintf("%s: invalid-probe: is too large, with $(VAR) expanded (got %d bytes, want at most 131072 bytes)", at, n)}
	}
	grows := func(k *corev1.Container) {
		k.Env = []corev1.EnvVar{{Name: "A", Value: strings.Repeat("x", 40_000)}}
	}
	with := func(p corev1.Probe) change {
		return container(func(k *corev1.Container) { grows(k); k.LivenessProbe = &p })
	}
	checkRules(t, []rule{
		{"none", liveness(command()), []string{at + ": invalid-probe: is required (want a program and its arguments, such as [cat, /tmp/healthy])"}, liveness(command("x"))},
		{"a megabyte", liveness(command(strings.Repeat("x", 1<<20))), tooLarge(1<<20 + 1), liveness(command(strings.Repeat("x", 128<<10-1)))},
		{"a megabyte of words", liveness(command(many(1 << 20)...)), tooLarge(1 << 20), liveness(command(many(128 << 10)...))},
		{"variables", with(command("$(A)", "$(A)$(A)", "$(A)")), tooLarge(160_003), with(command("$(A)", "$(A)$(A)", "$$(A)"))},
		{"NUL", liveness(command("a\x00b")), []string{at + `[0]: invalid: has a NUL byte (got "a\x00b", want text without NUL)`}, liveness(command("ab"))},
	})
}

func TestProbeTimeouts(t *testing.T) {
	const at = "spec.containers[0].livenessProbe.timeoutSeconds"
	timed := func(timeout, period int32, annotation string) change {
		return func(p *corev1.Pod, k *corev1.Container) {
			probe := command("x")
			probe.TimeoutSeconds, probe.PeriodSeconds = timeout, period
			k.LivenessProbe = &probe
			if annotation != "" {
				p.Annotations = map[string]string{"liveness.probe.podstead.dev/app": annotation}
			}
		}
	}
	tooLong := func(got, most string) []string {
		return []string{at + ": invalid-probe: is longer than the period, in which the probe is made again (got " + got + ", want at most " + most + ", or a longer periodSeconds)"}
	}
	checkRules(t, []rule{
		{"longer than the period", timed(6, 5, ""), tooLong("6s", "5s"), timed(5, 5, "")},
		{"longer than the default", timed(11, 0, ""), tooLong("11s", "10s"), timed(10, 0, "")},
		{"annotation", timed(31, 5, "30s"), tooLong("31s", "30s"), timed(30, 5, "30s")},
		{"below a second", timed(2, 1, "200ms"), tooLong("2s", "1s"), timed(1, 1, "200ms")},
	})
}

func TestProbeAnnotations(t *testing.T) {
	set := func(key, value string) change {
		return func(p *corev1.Pod, k *corev1.Container) {
			probe := command("x")
			k.ReadinessProbe = &probe
			p.Annotations = map[string]string{key: value}
		}
	}
	const key = "readiness.probe.podstead.dev/app"
	noPeriod := func(got string) []string {
		return []string{"metadata.annotations[" + key + "]: invalid-probe: is no period (got \"" + got + "\", want 100ms to 1h, such as 200ms)"}
	}
	noProbe := func(key string) []string {
		return []string{"metadata.annotations[" + key + "]: no-such-ref: sets the period of a probe that is not there (got \"" + key +
			"\", want startup, liveness or readiness, .probe.podstead.dev/, and a container that has such a probe)"}
	}
	checkRules(t, []rule{
		{"too short", set(key, "99ms"), noPeriod("99ms"), set(key, "100ms")},
		{"too long", set(key, "1h1s"), noPeriod("1h1s"), set(key, "1h")},
		{"no unit", set(key, "200"), noPeriod("200"), set(key, "0.2s")},
		{"other kind", set("liveness.probe.podstead.dev/app", "1s"), noProbe("liveness.probe.podstead.dev/app"), set(key, "1s")},
		{"other container", set("readiness.probe.podstead.dev/web", "1s"), noProbe("readiness.probe.podstead.dev/web"), set(key, "1s")},
		{"no kind", set(".probe.podstead.dev/app", "1s"), append([]string{
			`metadata.annotations[.probe.podstead.dev/app]: invalid-name: prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*') (got ".probe.podstead.dev/app")`,
		}, noProbe(".probe.podstead.dev/app")...), set("probe.example.com/app", "1s")},
	})
}

func TestHooks(t *testing.T) {
	sleeps := func(seconds int64, grace *int64) change {
		return func(p *corev1.Pod, k *corev1.Container) {
			p.Spec.TerminationGracePeriodSeconds = grace
			k.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: seconds}}}
		}
	}
	const at = "spec.containers[0].lifecycle.preStop.sleep.seconds: invalid: is out of range "
	minute, none := int64(60), int64(0)
	checkRules(t, []rule{
		{"beyond the default grace", sleeps(31, nil), []string{at + "(got 31, want 0 to 30)"}, sleeps(30, nil)},
		{"beyond the grace", sleeps(61, &minute), []string{at + "(got 61, want 0 to 60)"}, sleeps(60, &minute)},
		{"no grace", sleeps(1, &none), []string{at + "(got 1, want 0 to 0)"}, sleeps(0, &none)},
	})
}

func TestOnlyContainersThatGoOnHaveProbesAndHooks(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	init := func(policy *corev1.ContainerRestartPolicy) change {
		return func(p *corev1.Pod, _ *corev1.Container) {
			probe := corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}}
			p.Spec.InitContainers = []corev1.Container{{
				Name: "i", Image: "a", RestartPolicy: policy,
				StartupProbe: &probe, LivenessProbe: &probe, ReadinessProbe: &probe,
				Lifecycle: &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}},
			}}
		}
	}
	var want []string
	for _, name := range []string{"startupProbe", "livenessProbe", "readinessProbe", "lifecycle"} {
		want = append(want, "spec.initContainers[0]."+name+
			": invalid: is not for an init container that runs to its end (want the field left out, or restartPolicy: Always (a sidecar))")
	}
	checkRules(t, []rule{{"init container", init(nil), want, init(&always)}})
}
