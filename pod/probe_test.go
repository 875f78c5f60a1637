package pod_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

func TestProbePeriod(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"200ms": 200 * time.Millisecond, "100ms": 100 * time.Millisecond, "1h": time.Hour, "1.5s": 1500 * time.Millisecond,
		"99ms": 0, "61m": 0, "-1s": 0, "5": 0, "": 0, "soon": 0,
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"readiness.probe.podstead.dev/app": value}}}
		if got := pod.ProbePeriod(p, "app", pod.ProbeReadiness); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
		if pod.ProbePeriod(p, "app", pod.ProbeLiveness) != 0 || pod.ProbePeriod(p, "web", pod.ProbeReadiness) != 0 {
			t.Errorf("%q: a probe took the annotation of another", value)
		}
	}
}
