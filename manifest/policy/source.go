package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// CheckSource refuses the workloads of a source that are beyond its MaxPods
// and MaxContainers: one problem for each. A Deployment or ReplicaSet counts
// as its replicas, each with the containers of the template, and a DaemonSet
// as one pod; what an update has for a while beside them does not count, nor
// does it matter whether labels of the server keep one from running here.
//
// Which ones are refused does not depend on the order of objects: they are
// counted by kind and key, then file and item, and all from the first that no
// longer fits are refused, so that a lower bound never lets in a pod that a
// higher one kept out. The problems are in that order.
func CheckSource(objects []pod.Object, l Level) []pod.Problem {
	sorted := slices.Clone(objects)
	slices.SortStableFunc(sorted, byKeyAndOrigin)
	var problems []pod.Problem
	all := 0
	for i := range sorted {
		all += int(sorted[i].Replicas())
	}
	pods, containers := 0, 0
	for i := range sorted {
		o := &sorted[i]
		if !o.Kind.IsWorkload() {
			continue
		}
		pods += int(o.Replicas())
		containers += int(o.Replicas()) * containersOf(o)
		inPods, inContainers := "", "spec.containers"
		if o.Kind != pod.KindPod {
			inContainers = "spec.template.spec.containers"
		}
		if o.Deployment != nil || o.ReplicaSet != nil {
			inPods = "spec.replicas"
		}
		switch {
		case l.MaxPods > 0 && pods > l.MaxPods:
			problems = append(problems, beyond(o, inPods, "pods", all, l.MaxPods))
		case l.MaxContainers > 0 && containers > l.MaxContainers:
			problems = append(problems, beyond(o, inContainers, "containers, counted up to this one,", containers, l.MaxContainers))
		}
	}
	return problems
}

func containersOf(o *pod.Object) int {
	s := &corev1.PodSpec{}
	if o.Pod != nil {
		s = &o.Pod.Spec
	}
	if t := o.Template(); t != nil {
		s = &t.Spec
	}
	return len(s.InitContainers) + len(s.Containers) + len(s.EphemeralContainers)
}

func byKeyAndOrigin(a, b pod.Object) int {
	return cmp.Or(a.Compare(b.ObjectKey),
		strings.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Item, b.Origin.Item))
}

func beyond(o *pod.Object, field, what string, got, most int) pod.Problem {
	return pod.Problem{
		Origin: o.Origin, Severity: pod.Error, Reason: pod.ReasonPolicy, Kind: o.Kind, Key: o.Key, Field: field,
		Message: fmt.Sprintf("the source has more %s than it may", what),
		Got:     fmt.Sprint(got), Want: fmt.Sprintf("at most %d", most),
	}
}
