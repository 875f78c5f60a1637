package e2e

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/test/harness"
)

// TestF7_OutOfMemory: each time that a container exceeds its memory it is said
// to have ended by that, be it an init container or not, and however many do so
// at once.
func TestF7_OutOfMemory(t *testing.T) {
	t.Parallel()
	const pods, rounds = 8, 10
	h := newHost(t, harness.Options{Config: fmt.Sprintf("metrics: {address: %q}\nrestart: {base: 1s, max: 1s, reset: 1m}\n", oomMetrics)})
	steady := newSubject(t, h, "steady", witness("app"))
	steady.run("1")
	var greedy []*subject
	for i := range pods {
		c := witness("greedy", "-alloc", "500000000")
		c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("16Mi")}
		s := newSubject(t, h, fmt.Sprintf("greedy-%d", i), c)
		if i%4 == 3 { // an init container
			s.Spec.InitContainers, s.Spec.Containers = s.Spec.Containers, []corev1.Container{witness("app")}
		}
		s.write("1")
		greedy = append(greedy, s)
	}
	for _, s := range greedy {
		s.waitLives("greedy", rounds+1)
	}
	told, wrong := 0, ""
	for _, s := range greedy {
		// What had begun by now has ended, but for the last.
		began := len(s.lives("greedy"))
		h.Eventually(patience, func() error {
			ends, others := endings(h, s)
			if wrong = others; wrong != "" {
				return nil
			}
			if ends < began-1 {
				return fmt.Errorf("%d of %d ends of %s by a lack of memory were told", ends, began-1, s.Name)
			}
			told += ends
			return nil
		})
		if wrong != "" {
			t.Errorf("%s: %s", s.Name, wrong)
		}
	}
	h.Eventually(patience, func() error {
		families, err := scrape(oomMetrics, "/metrics/cadvisor")
		if err != nil {
			return err
		}
		total := 0.0
		for _, s := range greedy {
			n, _ := valueOf(families["container_oom_events_total"], "pod="+s.Name, "container=greedy")
			total += n
		}
		if total < pods*rounds {
			return fmt.Errorf("container_oom_events_total is %v in all, want at least %d", total, pods*rounds)
		}
		return nil
	})
	t.Logf("%d ends were told of", told)
	if n := len(steady.lives("app")); n != 1 {
		t.Errorf("the pod beside them had %d runs", n)
	}
	for _, s := range greedy {
		s.remove()
	}
}

const oomMetrics = "127.0.0.1:19258"

// endings counts the ends of a pod's greedy container by a lack of memory that
// were told, and returns any other end.
func endings(h *harness.Host, s *subject) (outOfMemory int, other string) {
	for _, e := range h.Events(s.key()) {
		switch {
		case strings.HasPrefix(e.Message, "Container greedy ended: OOMKilled, exit code 137"):
			outOfMemory += int(e.Count)
		case strings.HasPrefix(e.Message, "Container greedy ended: "):
			other = e.Message
		}
	}
	return outOfMemory, other
}
