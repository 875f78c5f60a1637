package plan

import (
	"fmt"

	"github.com/podstead/podstead/pod"
)

// Effect says in words what another manifest would do to a pod of which
// something exists.
func Effect(h Have, desired *pod.Desired, now pod.Moment) []string {
	lives := instances(h)
	if len(lives) == 0 {
		return nil
	}
	l := &lives[len(lives)-1]
	recorded := l.recorded()
	if recorded == nil {
		return []string{"its record can't be read: it is replaced"}
	}
	p := planner{have: h, now: now, Decision: &Decision{}}
	if field := p.replaceReason(l, recorded, desired); field != "" {
		return []string{fmt.Sprintf("the pod is replaced, stop-first: %s changes", field)}
	}
	var lines []string
	for i := range l.containers {
		c := &l.containers[i]
		if c != l.latest(c.Name) {
			continue
		}
		if field := containerChange(c, desired.Pod); field != "" {
			lines = append(lines, fmt.Sprintf("container %s is restarted: %s changes", c.Name, field))
		}
	}
	if len(lines) == 0 {
		lines = append(lines, "it changes in place, no container is restarted")
	}
	return lines
}
