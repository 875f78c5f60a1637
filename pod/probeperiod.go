package pod

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// ProbePeriod is the period that an annotation of the pod gives to a probe of
// a container, such as "readiness.probe.podstead.dev/app: 200ms"; 0 if none
// does. What can't be read counts as none.
func ProbePeriod(p *corev1.Pod, container string, kind ProbeKind) time.Duration {
	d, err := time.ParseDuration(p.Annotations[string(kind)+".probe.podstead.dev/"+container])
	if err != nil {
		return 0
	}
	return d
}
