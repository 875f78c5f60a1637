package metrics

import (
	"strings"

	"github.com/podstead/podstead/pod"
)

// rolloutFamilies tell how rollouts go, under podstead's own names. The labels
// workload and workload_type are those of kubernetes-mixin's rules.
func rolloutFamilies() []family {
	of := func(name, help string, get func(w *pod.WorkloadView) float64) family {
		return family{
			name: "podstead_rollout_" + name, kind: gauge, help: help, labels: []string{"namespace", "workload", "workload_type"},
			each: func(v *view, row emit) {
				for i := range v.snap.Workloads {
					w := &v.snap.Workloads[i]
					row(get(w), []string{w.Namespace, w.Name, strings.ToLower(string(w.Kind))})
				}
			},
		}
	}
	return []family{
		{name: "podstead_rollouts_total", kind: counter, help: "Rollouts by what became of them: complete (ready through the watch window), failed, rolled_back (replaced by the last good revision, after they failed).",
			labels: []string{"result"}, each: func(v *view, row emit) {
				for _, r := range []pod.RolloutResult{pod.RolloutComplete, pod.RolloutFailed, pod.RolloutRolledBack} {
					row(float64(v.snap.Counters.Rollouts[r]), []string{string(r)})
				}
			}},
		of("failed", "1 when the revision that is wanted failed.", func(w *pod.WorkloadView) float64 { return boolean(w.Failed() != nil) }),
		of("rolled_back", "1 when another revision runs than the one that is wanted, since that one failed.", func(w *pod.WorkloadView) float64 { return boolean(w.RolledBack()) }),
		of("held", "1 when a revision that is wanted is not rolled out yet: an image can't be had, or its pods would not be admitted.", func(w *pod.WorkloadView) float64 { return boolean(w.Held != "") }),
		of("drift", "How many things people changed against the manifest.", func(w *pod.WorkloadView) float64 { return float64(len(w.Drift)) }),
		of("revision", "The number of the revision that pods are made of; 0 before the first.", func(w *pod.WorkloadView) float64 { return float64(w.Revision) }),
	}
}
