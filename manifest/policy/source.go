package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/podstead/podstead/pod"
)

// CheckSource refuses the pods of a source that are beyond its MaxPods and
// MaxContainers: one problem for each. Which ones does not depend on the order
// of pods: they are counted by key, then file and item, and all from the first
// that no longer fits are refused, so that a lower bound never lets in a pod
// that a higher one kept out. The problems are in that order.
func CheckSource(pods []pod.Desired, l Level) []pod.Problem {
	sorted := slices.Clone(pods)
	slices.SortStableFunc(sorted, byKeyAndOrigin)
	var problems []pod.Problem
	containers := 0
	for i, d := range sorted {
		s := &d.Pod.Spec
		containers += len(s.InitContainers) + len(s.Containers) + len(s.EphemeralContainers)
		switch {
		case l.MaxPods > 0 && i+1 > l.MaxPods:
			problems = append(problems, beyond(d, "", "pods", len(sorted), l.MaxPods))
		case l.MaxContainers > 0 && containers > l.MaxContainers:
			problems = append(problems, beyond(d, "spec.containers", "containers, counted up to this pod,", containers, l.MaxContainers))
		}
	}
	return problems
}

func byKeyAndOrigin(a, b pod.Desired) int {
	return cmp.Or(
		strings.Compare(a.Key.Namespace, b.Key.Namespace), strings.Compare(a.Key.Name, b.Key.Name),
		strings.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Item, b.Origin.Item))
}

func beyond(d pod.Desired, field, what string, got, most int) pod.Problem {
	return pod.Problem{
		Origin: d.Origin, Severity: pod.Error, Reason: pod.ReasonPolicy, Key: d.Key, Field: field,
		Message: fmt.Sprintf("the source has more %s than it may", what),
		Got:     fmt.Sprint(got), Want: fmt.Sprintf("at most %d", most),
	}
}
