package validation

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// probed is a probe that a container has.
type probed struct {
	kind  pod.ProbeKind
	field string
	probe *corev1.Probe
}

func probesOf(k *corev1.Container) []probed {
	all := []probed{
		{pod.ProbeStartup, "startupProbe", k.StartupProbe},
		{pod.ProbeLiveness, "livenessProbe", k.LivenessProbe},
		{pod.ProbeReadiness, "readinessProbe", k.ReadinessProbe},
	}
	return slices.DeleteFunc(all, func(p probed) bool { return p.probe == nil })
}

func (c *checker) probes(k *corev1.Container, at *field.Path) {
	for _, p := range probesOf(k) {
		c.probe(p, k, at.Child(p.field))
	}
}

func (c *checker) probe(p probed, k *corev1.Container, at *field.Path) {
	c.oneHandler(p.probe.ProbeHandler, at, pod.ReasonInvalidProbe, "exec, httpGet, tcpSocket and grpc")
	h := handlers{c, k, pod.ReasonInvalidProbe}
	h.exec(p.probe.Exec, at.Child("exec"))
	h.httpGet(p.probe.HTTPGet, at.Child("httpGet"))
	h.tcpSocket(p.probe.TCPSocket, at.Child("tcpSocket"))
	h.grpc(p.probe.GRPC, at.Child("grpc"))
	c.probeNumbers(p, k, at)
}

func (c *checker) probeNumbers(p probed, k *corev1.Container, at *field.Path) {
	for _, number := range []struct {
		field       string
		value, want int32
	}{
		{"initialDelaySeconds", p.probe.InitialDelaySeconds, 0},
		{"timeoutSeconds", p.probe.TimeoutSeconds, 1},
		{"periodSeconds", p.probe.PeriodSeconds, 1},
		{"successThreshold", p.probe.SuccessThreshold, 1},
		{"failureThreshold", p.probe.FailureThreshold, 1},
	} {
		if number.value < 0 { // 0 is a default that is not filled in yet
			c.refuse(at.Child(number.field), pod.ReasonInvalidProbe, finding{"is negative", itoa(number.value), itoa(number.want) + " or more"})
		}
	}
	if p.kind != pod.ProbeReadiness && p.probe.SuccessThreshold > 1 {
		c.refuse(at.Child("successThreshold"), pod.ReasonInvalidProbe, finding{
			"must be 1 for this kind of probe: its first success decides", itoa(p.probe.SuccessThreshold), "1, or the field left out"})
	}
	c.probeTimeout(p, k, at.Child("timeoutSeconds"))
	c.probeGrace(p, at.Child("terminationGracePeriodSeconds"))
}

// probeTimeout refuses a probe that would be due again before its attempt has
// ended: it is not made twice at a time, so the period would be a lie.
func (c *checker) probeTimeout(p probed, k *corev1.Container, at *field.Path) {
	timeout := time.Duration(max(p.probe.TimeoutSeconds, 1)) * time.Second
	period := time.Duration(p.probe.PeriodSeconds) * time.Second
	if period == 0 {
		period = 10 * time.Second
	}
	period = max(period, pod.ProbePeriod(c.pod, k.Name, p.kind))
	if p.probe.PeriodSeconds >= 0 && timeout > period {
		c.refuse(at, pod.ReasonInvalidProbe, finding{
			"is longer than the period, in which the probe is made again", timeout.String(), fmt.Sprintf("at most %s, or a longer periodSeconds", period)})
	}
}

func (c *checker) probeGrace(p probed, at *field.Path) {
	grace := p.probe.TerminationGracePeriodSeconds
	switch {
	case grace == nil:
	case p.kind == pod.ProbeReadiness:
		c.refuse(at, pod.ReasonInvalidProbe, finding{"has no meaning: a readiness probe ends nothing", itoa(*grace), "the field left out"})
	default:
		c.inRange(at, pod.ReasonInvalidProbe, *grace, 1, c.limits.GraceSeconds)
	}
}

// probeAnnotations checks the annotations that set periods of probes.
func (c *checker) probeAnnotations(annotations map[string]string, at *field.Path) {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		container, kind, ok := pod.SplitProbeAnnotation(key)
		if !ok {
			continue
		}
		here := entry(at, key)
		k := pod.ContainerSpec(c.pod, container)
		if k == nil || !slices.ContainsFunc(probesOf(k), func(p probed) bool { return p.kind == kind }) {
			c.refuse(here, pod.ReasonNoSuchReference, finding{
				"sets the period of a probe that is not there", quote(key), "startup, liveness or readiness, .probe.podstead.dev/, and a container that has such a probe"})
			continue
		}
		if pod.ProbePeriod(c.pod, container, kind) == 0 {
			c.refuse(here, pod.ReasonInvalidProbe, finding{
				"is no period", quote(annotations[key]), fmt.Sprintf("%s to 1h, such as 200ms", pod.MinProbePeriod)})
		}
	}
}

// endless refuses what only containers can have that go on running.
func (c *checker) endless(k *corev1.Container, at *field.Path) {
	fields := []string{}
	for _, p := range probesOf(k) {
		fields = append(fields, p.field)
	}
	if k.Lifecycle != nil && *k.Lifecycle != (corev1.Lifecycle{}) {
		fields = append(fields, "lifecycle")
	}
	for _, name := range fields {
		c.refuse(at.Child(name), pod.ReasonInvalid, finding{
			message: "is not for an init container that runs to its end", want: "the field left out, or restartPolicy: Always (a sidecar)"})
	}
}
