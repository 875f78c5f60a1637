package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// measureInterval is how often the disk use of limited volumes is read.
const measureInterval = 10 * time.Second

// measuring is the reading of the disk use of one pod.
type measuring struct {
	busy bool
	// at is when the next one is due: a pod whose volumes take long is
	// measured less often, so that it takes no more than its share.
	at pod.Moment
	// unknown is why the use of an instance could not be read whole; number
	// is the instance.
	unknown string
	number  int
}

// measure reads the disk use of the pods that have a limit on it, beside the
// loop and each by itself: one whose volumes take long, or hang, keeps no
// other from being judged. Where no pod has a limit, nothing is done.
func (l *loop) measure(now pod.Moment) {
	if now < l.measureAt {
		return
	}
	l.measureAt = now.Add(measureInterval)
	for _, ps := range l.pods {
		c := ps.newest()
		if c.Pod == nil || ps.measuring.busy || now < ps.measuring.at ||
			!plan.Measured(c.Pod) || plan.Finished(l.wants[ps.key], l.have(ps), now) {
			continue
		}
		l.measureOne(ps, c, now)
	}
}

func (l *loop) measureOne(ps *podState, c pod.Container, now pod.Moment) {
	ps.measuring.busy = true
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		// With an error it is at least what could be read.
		usage, err := l.cfg.Volumes.Usage(ctx, c.UID)
		exceeded := plan.Exceeded(c.Pod, usage)
		l.send(func(l *loop) { l.measured(ps, c.Instance.Number, now, exceeded, err) })
	})
}

func (l *loop) measured(ps *podState, number int, begun pod.Moment, exceeded string, err error) {
	now := l.cfg.Now().Moment
	ps.measuring.busy, ps.measuring.at = false, now.Add(2*now.Sub(begun))
	if ps.newest().Instance.Number != number {
		return // it was replaced meanwhile
	}
	unknown := ""
	if err != nil {
		unknown = fmt.Sprintf("what the emptyDir volumes take can't be measured, so a sizeLimit may be exceeded unseen: %v", err)
	}
	if unknown != ps.measuring.unknown {
		l.dirty[ps.key] = true
	}
	ps.measuring.unknown, ps.measuring.number = unknown, number
	if exceeded == "" || ps.exceeded[number] != "" {
		return
	}
	ps.exceeded[number] = exceeded
	l.dirty[ps.key] = true
	l.event(ps.key, warning, "Evicted", exceeded)
}

// unmeasured is the note about an instance of which the disk use is not known.
func (ps *podState) unmeasured() []string {
	if ps.measuring.unknown == "" || ps.newest().Instance.Number != ps.measuring.number {
		return nil
	}
	return []string{ps.measuring.unknown}
}
