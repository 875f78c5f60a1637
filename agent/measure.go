package agent

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// measureInterval is how often the disk use of limited volumes is read.
const measureInterval = 10 * time.Second

// measured is one pod instance whose volumes are to be measured.
type measured struct {
	instance pod.Instance
	uid      types.UID
	pod      *corev1.Pod
}

// measure reads the disk use of the pods that have a limit on it, beside the
// loop. Where no pod has one, nothing is done.
func (l *loop) measure(now pod.Moment) {
	if l.measuring || now < l.measureAt {
		return
	}
	l.measureAt = now.Add(measureInterval)
	var todo []measured
	for _, ps := range l.pods {
		c := ps.newest()
		if c.Pod != nil && plan.Measured(c.Pod) && !plan.Finished(l.wants[ps.key], l.have(ps), now) {
			todo = append(todo, measured{c.Instance, c.UID, c.Pod})
		}
	}
	if len(todo) == 0 {
		return
	}
	l.measuring = true
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		exceeded := map[pod.Instance]string{}
		for _, m := range todo {
			// With an error it is at least what could be read.
			usage, _ := l.cfg.Volumes.Usage(ctx, m.uid)
			exceeded[m.instance] = plan.Exceeded(m.pod, usage)
		}
		l.send(func(l *loop) { l.outgrown(exceeded) })
	})
}

func (l *loop) outgrown(exceeded map[pod.Instance]string) {
	l.measuring = false
	for i, text := range exceeded {
		ps := l.pods[i.Key]
		if ps == nil || text == "" || ps.exceeded[i.Number] != "" {
			continue
		}
		ps.exceeded[i.Number] = text
		l.dirty[i.Key] = true
		l.event(i.Key, warning, "Evicted", text)
	}
}
