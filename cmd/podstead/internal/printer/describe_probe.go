package printer

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// probes writes each probe as kubectl does, with the period that is in force,
// and after it how it went.
func (p *page) probes(of *corev1.Pod, spec *corev1.Container, results []api.Probe) {
	for _, probe := range []struct {
		title string
		kind  pod.ProbeKind
		spec  *corev1.Probe
	}{
		{"Liveness", pod.ProbeLiveness, spec.LivenessProbe},
		{"Readiness", pod.ProbeReadiness, spec.ReadinessProbe},
		{"Startup", pod.ProbeStartup, spec.StartupProbe},
	} {
		if probe.spec == nil {
			continue
		}
		period := pod.ProbePeriod(of, spec.Name, probe.kind)
		if period == 0 {
			period = time.Duration(probe.spec.PeriodSeconds) * time.Second
		}
		p.line(2, probe.title, probeText(probe.spec, period))
		for i := range results {
			if results[i].Kind == probe.kind {
				p.line(2, probe.title+" Results", p.results(&results[i]))
			}
		}
	}
}

func probeText(probe *corev1.Probe, period time.Duration) string {
	text := fmt.Sprintf("%s delay=%ds timeout=%ds period=%gs #success=%d #failure=%d", handlerText(&probe.ProbeHandler),
		probe.InitialDelaySeconds, probe.TimeoutSeconds, period.Seconds(), probe.SuccessThreshold, probe.FailureThreshold)
	if probe.TerminationGracePeriodSeconds != nil {
		text += fmt.Sprintf(" terminationGracePeriod=%ds", *probe.TerminationGracePeriodSeconds)
	}
	return text
}

func handlerText(h *corev1.ProbeHandler) string {
	switch {
	case h.Exec != nil:
		return execText(h.Exec)
	case h.HTTPGet != nil:
		return httpText(h.HTTPGet)
	case h.TCPSocket != nil:
		return "tcp-socket " + hostPort(h.TCPSocket.Host, h.TCPSocket.Port)
	case h.GRPC != nil:
		service := ""
		if h.GRPC.Service != nil {
			service = *h.GRPC.Service
		}
		return fmt.Sprintf("grpc <pod>:%d %s", h.GRPC.Port, service)
	default:
		return "unknown"
	}
}

func execText(e *corev1.ExecAction) string { return fmt.Sprintf("exec %v", e.Command) }

func httpText(get *corev1.HTTPGetAction) string {
	path, query, _ := strings.Cut(get.Path, "?")
	u := url.URL{Scheme: strings.ToLower(string(get.Scheme)), Host: hostPort(get.Host, get.Port), Path: path, RawQuery: query}
	return "http-get " + u.String()
}

func hostPort(host string, port intstr.IntOrString) string {
	return net.JoinHostPort(host, port.String())
}

// hooks writes what runs after the start and before the stop.
func (p *page) hooks(l *corev1.Lifecycle) {
	if l == nil {
		return
	}
	for _, hook := range []struct {
		title   string
		handler *corev1.LifecycleHandler
	}{{"Post Start", l.PostStart}, {"Pre Stop", l.PreStop}} {
		if hook.handler != nil {
			p.line(2, hook.title, hookText(hook.handler))
		}
	}
}

func hookText(h *corev1.LifecycleHandler) string {
	if h.Sleep != nil {
		return fmt.Sprintf("sleep %ds", h.Sleep.Seconds)
	}
	return handlerText(&corev1.ProbeHandler{Exec: h.Exec, HTTPGet: h.HTTPGet, TCPSocket: h.TCPSocket})
}

// results tells in words how the latest attempts of a probe went.
func (p *page) results(probe *api.Probe) string {
	if len(probe.Recent) == 0 {
		return "not made yet"
	}
	latest := probe.Recent[0]
	// What could not be made is no part of the streak of those that count.
	streak, since := probe.Streak, probe.Since
	if latest.Result == pod.ProbeUnknown {
		streak = sameResults(probe.Recent)
		since = probe.Recent[streak-1].At.Wall
	}
	same := min(max(streak, 1), len(probe.Recent))
	text := fmt.Sprintf("%s for %s (%d in a row): %s", resultWord(latest.Result), Age(since, p.now), streak, oneLine(latest.Message))
	if same < len(probe.Recent) {
		before := probe.Recent[same]
		text += fmt.Sprintf("; before: %s %s ago", resultWord(before.Result), Age(before.At.Wall, p.now))
	}
	// Thresholds keep a verdict for a while.
	if probe.Outcome != latest.Result && probe.Outcome != pod.ProbeUnknown {
		text += "; counts as " + resultWord(probe.Outcome) + " still"
	}
	return text
}

// sameResults is how many of the latest attempts had the same result.
func sameResults(recent []pod.ProbeAttempt) int {
	n := 1
	for n < len(recent) && recent[n].Result == recent[0].Result {
		n++
	}
	return n
}

func resultWord(r pod.ProbeOutcome) string {
	switch r {
	case pod.ProbeSuccess:
		return "ok"
	case pod.ProbeFailure:
		return "failing"
	default:
		return "can't be made"
	}
}
