package metrics

import (
	"slices"

	"github.com/podstead/podstead/pod"
)

// probeFamilies are the kubelet's.
func probeFamilies() []family {
	labels := []string{"container", "namespace", "pod", "pod_uid", "probe_type"}
	return []family{
		{name: "prober_probe_total", kind: counter, help: "Attempts of a probe by result; unknown ones could not be made and do not count. It begins anew with each run of the container.",
			labels: append(slices.Clone(labels), "result"), each: func(v *view, row emit) {
				eachProbe(v, func(p *pod.ProbeReport, base []string) {
					row(float64(p.Succeeded), base, "successful")
					row(float64(p.Failed), base, "failed")
					row(float64(p.Unknown), base, "unknown")
				})
			}},
		{name: "prober_probe_duration_seconds", kind: histogram, help: "How long the attempts of a probe took that count. It begins anew with each run of the container.",
			labels: []string{"container", "namespace", "pod", "probe_type"}, histograms: func(v *view, row emitHistogram) {
				eachProbe(v, func(p *pod.ProbeReport, base []string) {
					row(p.Took, base[0], base[1], base[2], base[4])
				})
			}},
		{name: "podstead_probe_success", kind: gauge, help: "The verdict of a probe by its thresholds: 1 for success, 0 for failure. Missing while there is none.",
			labels: labels, each: func(v *view, row emit) {
				eachProbe(v, func(p *pod.ProbeReport, base []string) {
					if p.Outcome != pod.ProbeUnknown {
						row(boolean(p.Outcome == pod.ProbeSuccess), base)
					}
				})
			}},
		{name: "podstead_probe_last_duration_seconds", kind: gauge, help: "How long the latest attempt of a probe took.",
			labels: labels, each: func(v *view, row emit) {
				eachProbe(v, func(p *pod.ProbeReport, base []string) {
					if len(p.Recent) > 0 {
						row(p.Recent[0].Took.Seconds(), base)
					}
				})
			}},
	}
}

// probeTypes are the kinds in the kubelet's words.
var probeTypes = map[pod.ProbeKind]string{pod.ProbeStartup: "Startup", pod.ProbeLiveness: "Liveness", pod.ProbeReadiness: "Readiness"}

// eachProbe yields the probes of containers that are there, one of each kind:
// a report on a run that was followed by another is left out.
func eachProbe(v *view, yield func(p *pod.ProbeReport, base []string)) {
	type run struct {
		uid string
		pod *pod.View
	}
	runs := map[string]run{}
	for i := range v.snap.Pods {
		p := &v.snap.Pods[i]
		for j := range p.Containers {
			runs[p.Containers[j].ID] = run{string(p.Pod.UID), p}
		}
	}
	for i := range v.probes {
		r := &v.probes[i]
		of, there := runs[r.Container]
		kind := probeTypes[r.Kind]
		if !there || kind == "" {
			continue
		}
		yield(r, []string{r.Name, of.pod.Instance.Namespace, of.pod.Instance.Name, of.uid, kind})
	}
}
