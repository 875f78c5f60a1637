package metrics

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/podstead/podstead/pod"
)

// ownFamilies are podstead's own.
func ownFamilies() []family {
	return slices.Concat(daemonFamilies(), sourceFamilies(), workFamilies(), podStateFamilies(), rolloutFamilies(), storageFamilies(), serviceFamilies(), pageFamilies())
}

func value(name string, kind metricKind, help string, get func(v *view) float64) family {
	return family{name: name, kind: kind, help: help, each: func(v *view, row emit) { row(get(v), nil) }}
}

func daemonFamilies() []family {
	return []family{
		{name: "podstead_build_info", kind: gauge, help: "This build of podstead; always 1.", labels: []string{"commit", "goversion", "version"}, each: func(v *view, row emit) {
			row(1, []string{v.cfg.Facts.Commit, v.cfg.Facts.Go, v.cfg.Facts.Version})
		}},
		value("podstead_ready", gauge, "1 when containerd answers and every source was read or its last good copy loaded.", func(v *view) float64 {
			return boolean(runtimeReady(v.snap) == "" && sourcesReady(v.snap) == "")
		}),
		value("podstead_runtime_up", gauge, "1 when containerd answers.", func(v *view) float64 { return boolean(v.snap.Runtime.Up) }),
		{name: "podstead_runtime_known_vulnerable", kind: gauge, help: "A known weakness that the release of a component has, unless the distribution mended it; always 1.",
			labels: []string{"component", "cve"}, each: func(v *view, row emit) {
				for _, cve := range vulnerabilities(v.snap.Runtime.Version) {
					row(1, []string{"containerd", cve})
				}
			}},
		value("podstead_psi_available", gauge, "1 when the kernel counts pressure, so that container_pressure_* are there.", func(v *view) float64 { return boolean(v.cfg.Facts.Pressure) }),
	}
}

func sourceFamilies() []family {
	of := func(name, help string, get func(s *pod.SourceState, v *view) (float64, bool)) family {
		return family{name: name, kind: gauge, help: help, labels: []string{"source"}, each: func(v *view, row emit) {
			for i := range v.snap.Sources {
				if n, ok := get(&v.snap.Sources[i], v); ok {
					row(n, []string{v.snap.Sources[i].Name})
				}
			}
		}}
	}
	return []family{
		of("podstead_source_up", "1 when the source could be read whole last time.", func(s *pod.SourceState, _ *view) (float64, bool) {
			return boolean(s.Synced && s.Error == ""), true
		}),
		of("podstead_source_last_success_timestamp_seconds", "When the source was last read whole, as Unix time. Missing when it never was.", func(s *pod.SourceState, _ *view) (float64, bool) {
			return unixTime(s.LastSuccess), !s.LastSuccess.IsZero()
		}),
		of("podstead_source_age_seconds", "How long ago the source was last read whole.", func(s *pod.SourceState, v *view) (float64, bool) {
			return max(0, v.now.Sub(s.LastSuccess).Seconds()), !s.LastSuccess.IsZero()
		}),
		of("podstead_source_mass_delete_held", "Pods and other objects that the source's last answer leaves out and that are kept, since it leaves out too many at once.", func(s *pod.SourceState, _ *view) (float64, bool) {
			return float64(len(s.Held)), true
		}),
		{name: "podstead_manifests", kind: gauge, help: "Manifests of a source: active ones that are wanted, invalid ones that can't be used, held ones that the mass-delete guard keeps.",
			labels: []string{"source", "state"}, each: manifests},
		{name: "podstead_source_problems", kind: gauge, help: "What is wrong with a source and its manifests now, by class.", labels: []string{"source", "reason", "severity"}, each: problems},
		{name: "podstead_source_updates_total", kind: counter, help: "News that a source handed over, by how its reading went. A reading that brings no news does not count.",
			labels: []string{"source", "result"}, each: func(v *view, row emit) {
				list := slices.SortedFunc(maps.Keys(v.snap.Counters.SourceStates), func(a, b pod.SourceResult) int {
					return compare(a.Source+"\x00"+a.Result, b.Source+"\x00"+b.Result)
				})
				for _, key := range list {
					row(float64(v.snap.Counters.SourceStates[key]), []string{key.Source, key.Result})
				}
			}},
	}
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func manifests(v *view, row emit) {
	for i := range v.snap.Sources {
		s := &v.snap.Sources[i]
		invalid := map[pod.Origin]bool{}
		for _, p := range s.Problems {
			if p.Severity == pod.Error {
				invalid[pod.Origin{File: p.Origin.File, Item: p.Origin.Item}] = true
			}
		}
		row(float64(len(s.Pods)+len(s.Objects)), []string{s.Name, "active"})
		row(float64(len(s.Held)), []string{s.Name, "held"})
		row(float64(len(invalid)), []string{s.Name, "invalid"})
	}
}

func problems(v *view, row emit) {
	for i := range v.snap.Sources {
		s := &v.snap.Sources[i]
		type class struct{ reason, severity string }
		counts := map[class]int{}
		for _, p := range s.Problems {
			counts[class{string(p.Reason), string(p.Severity)}]++
		}
		classes := slices.SortedFunc(maps.Keys(counts), func(a, b class) int { return compare(a.reason+a.severity, b.reason+b.severity) })
		for _, c := range classes {
			row(float64(counts[c]), []string{s.Name, c.reason, c.severity})
		}
	}
}

func workFamilies() []family {
	counters := func(name string, labels []string, help string, each func(c *pod.Counters, row func(n uint64, label string))) family {
		return family{name: name, kind: counter, help: help, labels: labels, each: func(v *view, row emit) {
			each(&v.snap.Counters, func(n uint64, label string) { row(float64(n), []string{label}) })
		}}
	}
	return []family{
		value("podstead_work_queue_depth", gauge, "Pods that wait for others to be worked on first.", func(v *view) float64 { return float64(v.snap.Counters.Queued) }),
		value("podstead_operations_in_flight", gauge, "Operations that run now.", func(v *view) float64 { return float64(v.snap.Counters.Running) }),
		counters("podstead_restarts_total", []string{"cause"}, "Restarts of containers by cause: exit (it ended by itself), oom, liveness (a probe or its postStart hook failed), stopped (it was stopped to be restarted), runtime (nobody knows how it ended).", func(c *pod.Counters, row func(uint64, string)) {
			for _, cause := range []pod.RestartCause{pod.RestartExit, pod.RestartLiveness, pod.RestartOOM, pod.RestartRuntime, pod.RestartStopped} {
				row(c.Restarts[cause], string(cause))
			}
		}),
		counters("podstead_image_pulls_total", []string{"result"}, "Images that were asked for at registries: success, failure, or present, when the registry failed and the image that was there is used.", func(c *pod.Counters, row func(uint64, string)) {
			for _, result := range []pod.PullResult{pod.PullFailure, pod.PullPresent, pod.PullSuccess} {
				row(c.Pulls[result], string(result))
			}
		}),
		timing("podstead_image_pull_duration_seconds", "How long it took to fetch and unpack images.", func(c *pod.Counters) pod.Histogram { return c.PullSeconds }),
		counters("podstead_leaks_collected_total", []string{"kind"}, "What an earlier podstead left of pods that are gone and was removed.", func(c *pod.Counters, row func(uint64, string)) {
			for _, kind := range []string{"cgroup", "logs", "network", "sandbox", "volumes"} {
				row(c.Leftovers[kind], kind)
			}
		}),
		value("podstead_state_recoveries_total", counter, "Damaged records that were begun anew.", func(v *view) float64 { return float64(v.snap.Counters.Recoveries) }),
	}
}

// stuckAfter is how long after its grace a pod that is still there is stuck.
const stuckAfter = time.Minute

func podStateFamilies() []family {
	return []family{
		{name: "podstead_pod_spec_info", kind: gauge, help: "Which version of a pod there is: its instance number as generation, and active, or held (something is not applied) or invalid (its manifest can't be used now); always 1.",
			labels: []string{"namespace", "pod", "generation", "state"}, each: func(v *view, row emit) {
				for i := range v.snap.Pods {
					p := &v.snap.Pods[i]
					row(1, []string{p.Instance.Namespace, p.Instance.Name, strconv.Itoa(p.Instance.Number), specState(p)})
				}
			}},
		value("podstead_backoff_pods", gauge, "Pods with a container that waits to be restarted.", func(v *view) float64 { return float64(countPods(v, backsOff)) }),
		value("podstead_stuck_pods", gauge, "Pods that are still there a minute after their grace.", func(v *view) float64 {
			return float64(countPods(v, func(p *pod.View) bool { return stuck(p, v.now) }))
		}),
		{name: "podstead_logger_trouble", kind: gauge, help: "1 when output of a container was lost: its logger died or dropped lines.", labels: []string{"namespace", "pod", "container"},
			each: func(v *view, row emit) {
				for i := range v.snap.Pods {
					p := &v.snap.Pods[i]
					for _, c := range p.Containers {
						if c.Role != pod.RolePause {
							row(boolean(c.Logger != ""), []string{p.Instance.Namespace, p.Instance.Name, c.Name})
						}
					}
				}
			}},
		{name: "podstead_volume_used_bytes", kind: gauge, help: "Disk space or memory that a volume of a pod's own takes, measured once a minute while metrics are read.", labels: []string{"namespace", "pod", "volume"}, each: diskRows(func(d *pod.DiskStats) map[string]int64 { return d.Volumes })},
		{name: "podstead_container_layer_bytes", kind: gauge, help: "Disk space that the writable layer of a container takes, measured once a minute while metrics are read.", labels: []string{"namespace", "pod", "container"}, each: diskRows(func(d *pod.DiskStats) map[string]int64 { return d.Layers })},
		{name: "podstead_container_log_bytes", kind: gauge, help: "Disk space that the logs of a container take, measured once a minute while metrics are read.", labels: []string{"namespace", "pod", "container"}, each: diskRows(func(d *pod.DiskStats) map[string]int64 { return d.Logs })},
	}
}

func diskRows(get func(d *pod.DiskStats) map[string]int64) func(v *view, row emit) {
	return func(v *view, row emit) {
		if v.disk == nil {
			return
		}
		for i := range v.snap.Pods {
			p := &v.snap.Pods[i]
			if p.Pod.DeletionTimestamp != nil {
				continue // another instance of the same name may be there
			}
			d := v.disk.pods[p.Pod.UID]
			for _, name := range slices.Sorted(maps.Keys(get(&d))) {
				row(float64(get(&d)[name]), []string{p.Instance.Namespace, p.Instance.Name, name})
			}
		}
	}
}

func specState(p *pod.View) string {
	for _, problem := range p.Problems {
		if problem.Severity == pod.Error {
			return "invalid"
		}
	}
	if len(p.Notes) > 0 {
		return "held"
	}
	return "active"
}

func countPods(v *view, is func(p *pod.View) bool) int {
	n := 0
	for i := range v.snap.Pods {
		if is(&v.snap.Pods[i]) {
			n++
		}
	}
	return n
}

func backsOff(p *pod.View) bool {
	return slices.ContainsFunc(p.Containers, func(c pod.ContainerView) bool { return !c.NextStart.IsZero() })
}

func stuck(p *pod.View, now time.Time) bool {
	if p.Pod.DeletionTimestamp == nil {
		return false
	}
	grace := time.Duration(0)
	if s := p.Pod.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	return now.Sub(p.Pod.DeletionTimestamp.Time) > grace+stuckAfter
}

// pageFamilies are about the pages themselves.
func pageFamilies() []family {
	return []family{
		{name: "podstead_metrics_series", kind: gauge, help: "Series that a page had when it was read last.", labels: []string{"page"}, each: func(v *view, row emit) {
			v.server.mu.Lock()
			defer v.server.mu.Unlock()
			for _, name := range slices.Sorted(maps.Keys(v.server.series)) {
				row(float64(v.server.series[name]), []string{name})
			}
		}},
		value("podstead_metrics_series_dropped_total", counter, "Series that were left out because a page had too many.", func(v *view) float64 { return float64(v.server.dropped.Load()) }),
		value("podstead_metrics_scrapes_refused_total", counter, "Scrapes that were refused because too many came at once.", func(v *view) float64 { return float64(v.server.refused.Load()) }),
	}
}
