package pod

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// ProbeKind tells what is asked of a container apart: probes, and the hooks
// of its lifecycle, on which there is a verdict too.
type ProbeKind string

// The kinds of probes, as the API's fields name them.
const (
	ProbeStartup   ProbeKind = "startup"
	ProbeLiveness  ProbeKind = "liveness"
	ProbeReadiness ProbeKind = "readiness"
)

// The hooks. They run once for each run of a container, or again if it can't
// be told whether they did.
const (
	HookPostStart ProbeKind = "postStart"
	HookPreStop   ProbeKind = "preStop"
)

// ProbeID names one probe of one run of a container. A verdict belongs to one
// run and never carries to the next.
type ProbeID struct {
	// Container is the id of the run.
	Container string
	Kind      ProbeKind
}

// ProbeTarget is a probe that is to be made again and again.
type ProbeTarget struct {
	ProbeID
	Instance Instance
	// Spec is the container as its manifest has it: its ports have the names
	// that a probe may use, its environment what an exec probe may expand. It
	// is shared: nobody changes it.
	Spec *corev1.Container
	// Probe is the probe, defaulted.
	Probe *corev1.Probe
	// Period overrides Probe.PeriodSeconds, which can't say less than a
	// second; 0 where it does not.
	Period time.Duration
	// Host is the address that network probes go to unless they name one: the
	// pod's, or 127.0.0.1 on the host's network.
	Host string
	// Started is when the run was started; the initial delay counts from it.
	Started Stamp
}

// ProbeOutcome is a verdict over several attempts, by the probe's thresholds.
type ProbeOutcome string

// The outcomes. Unknown is where every probe begins; a probe that can't be
// made leaves the outcome as it is.
const (
	ProbeUnknown ProbeOutcome = ""
	ProbeSuccess ProbeOutcome = "success"
	ProbeFailure ProbeOutcome = "failure"
)

// ProbeVerdict is the outcome of a probe and the attempt that decided it.
type ProbeVerdict struct {
	ProbeID
	Outcome ProbeOutcome
	// Message is why, in words, of the last attempt that counted; ≤ 1 KiB.
	Message string
	At      Stamp
}

// ProbeAttempt is one try of a probe.
type ProbeAttempt struct {
	At   Stamp         `json:"at"`
	Took time.Duration `json:"took"`
	// Result is unknown when the probe could not be made: the attempt does
	// not count.
	Result ProbeOutcome `json:"result"`
	// Message says in words what came of it; ≤ 1 KiB.
	Message string `json:"message"`
}

// ProbeReport is what is known of a probe, for people and metrics.
type ProbeReport struct {
	ProbeID
	Instance  Instance
	Name      string // of the container
	Outcome   ProbeOutcome
	Succeeded uint64 // attempts, since the run is probed
	Failed    uint64
	Unknown   uint64
	// Took counts how long the attempts that counted took.
	Took Histogram
	// Streak counts the latest attempts that counted and had the same result.
	Streak int
	// Since is when the first of the streak was made; zero before any
	// counted.
	Since Stamp
	// Recent are the latest attempts, newest first, at most 5.
	Recent []ProbeAttempt
	// Next is when it is made again; zero while an attempt is under way.
	Next Stamp
}

// The range of a period that an annotation sets.
const (
	MinProbePeriod = 100 * time.Millisecond
	MaxProbePeriod = time.Hour
)

// probeAnnotation is what stands between a probe's kind and its container in
// the key of the annotation.
const probeAnnotation = ".probe.podstead.dev/"

// ProbeAnnotation is the key of the annotation that sets the period of a
// probe, such as readiness.probe.podstead.dev/app: periodSeconds can't say
// less than a second.
func ProbeAnnotation(container string, kind ProbeKind) string {
	return string(kind) + probeAnnotation + container
}

// SplitProbeAnnotation takes the key of an annotation apart; ok is false for
// annotations that are about something else.
func SplitProbeAnnotation(key string) (container string, kind ProbeKind, ok bool) {
	before, container, ok := strings.Cut(key, probeAnnotation)
	return container, ProbeKind(before), ok
}

// ProbePeriod returns the period that the pod's annotation sets for a probe;
// 0 where there is none, or none that is valid.
func ProbePeriod(p *corev1.Pod, container string, kind ProbeKind) time.Duration {
	period, err := time.ParseDuration(p.Annotations[ProbeAnnotation(container, kind)])
	if err != nil || period < MinProbePeriod || period > MaxProbePeriod {
		return 0
	}
	return period
}
