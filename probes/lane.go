package probes

import (
	"slices"

	"github.com/podstead/podstead/pod"
)

// How many attempts may be under way at a time. One over the network costs a
// connection, and waits for most of its life; a command in a container costs
// processes and work of containerd.
const (
	maxNetwork = 128
	maxExec    = 8
)

// lane holds the attempts of one sort: those under way, and those that wait
// for room in the order in which they became due.
type lane struct {
	most, ofOnePod int
	running        int
	byPod          map[pod.Instance]int
	queue          []*probe
}

// newLane returns a lane of which one pod, whose probes hang, can fill no more
// than a quarter.
func newLane(most int) *lane {
	return &lane{most: most, ofOnePod: most / 4, byPod: map[pod.Instance]int{}}
}

func (l *lane) join(p *probe) { l.queue = append(l.queue, p) }

// take returns the next probe to be made, nil when there is no room or none
// that waits.
func (l *lane) take() *probe {
	if l.running == l.most {
		return nil
	}
	l.queue = slices.DeleteFunc(l.queue, func(p *probe) bool { return p.gone })
	i := slices.IndexFunc(l.queue, func(p *probe) bool { return l.byPod[p.target.Instance] < l.ofOnePod })
	if i < 0 {
		return nil
	}
	p := l.queue[i]
	l.queue = slices.Delete(l.queue, i, i+1)
	l.running++
	l.byPod[p.target.Instance]++
	return p
}

// leave gives room back and tells whether somebody waits for it.
func (l *lane) leave(i pod.Instance) bool {
	l.running--
	if l.byPod[i]--; l.byPod[i] == 0 {
		delete(l.byPod, i)
	}
	return len(l.queue) > 0
}
