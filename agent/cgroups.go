package agent

import (
	"context"
	"fmt"

	"github.com/podstead/podstead/pod"
)

// cgroupsState is how the cgroups were when they were last looked at.
type cgroupsState struct {
	checking bool
	// err is why they can't be looked at or repaired, "" when they can.
	err string
	// repairs counts how often controllers had to be put back; repaired is
	// when that was last.
	repairs  int
	repaired pod.Stamp
}

// checkCgroups looks, beside the loop, whether the cgroups can still hold
// limits.
func (l *loop) checkCgroups() {
	if l.cgroups.checking {
		return
	}
	l.cgroups.checking = true
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		restored, err := l.cfg.Cgroups.Check(ctx)
		l.send(func(l *loop) { l.checkedCgroups(restored, err) })
	})
}

// checkedCgroups lets the limits of every pod be set again after controllers
// were put back: the kernel forgets what it has no controller for.
func (l *loop) checkedCgroups(restored bool, err error) {
	l.cgroups.checking = false
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != l.cgroups.err {
		l.cgroups.err, l.unpublished = text, true
		if text != "" {
			l.event(pod.Key{}, warning, "CgroupsBroken", l.cgroups.warning())
		}
	}
	if !restored {
		return
	}
	l.cgroups.repairs++
	l.cgroups.repaired, l.unpublished = l.cfg.Now(), true
	for key, ps := range l.pods {
		ps.limitsLost, l.dirty[key] = true, true
	}
	l.event(pod.Key{}, warning, "CgroupsRepaired",
		"cgroup controllers had been taken away from podstead's cgroups; they were put back, and the limits of all pods are set again")
}

// warning is what status says of the cgroups, "" if all was always well.
func (s *cgroupsState) warning() string {
	switch {
	case s.err != "":
		return fmt.Sprintf("the limits of pods may not hold: the cgroups can't be checked or repaired, which is tried again every minute: %s", s.err)
	case s.repairs > 0:
		return fmt.Sprintf("cgroup controllers were taken away from podstead's cgroups and put back (%d times, last at %s): find out which program does that",
			s.repairs, s.repaired.Wall.UTC().Format("2006-01-02T15:04:05Z"))
	default:
		return ""
	}
}
