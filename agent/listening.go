package agent

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// portLook is how often a port that somebody holds is looked at again.
const portLook = time.Second

// listening is what is known of the ports of the host that pods want and do
// not hold yet.
type listening struct {
	wanted []pod.HostPort
	heard  plan.Listening
	// at is when to look again; 0 when all that is wanted is known to be free.
	at      pod.Moment
	looking bool
}

// wantPorts notes which ports pods want anew, and forgets what it knew of
// others. A port that was found free is not looked at again: the pod that
// wants it is about to take it. More are ports that no pod claims yet.
func (p *listening) wantPorts(claims []plan.Claim, more []pod.HostPort, now pod.Moment) {
	p.wanted = more
	for _, c := range claims {
		p.wanted = append(p.wanted, plan.NewPorts(c)...)
	}
	known := plan.Listening{}
	p.at = 0
	for _, hp := range p.wanted {
		listeners, heard := p.heard[hp]
		switch {
		case !heard:
			p.at = now
		case len(listeners) > 0 && p.at == 0:
			p.at = now.Add(portLook)
		}
		if heard {
			known[hp] = listeners
		}
	}
	p.heard = known
}

// listensAt is when to look who holds ports; 0 for never, or while that can't be
// done.
func (l *loop) listensAt() pod.Moment {
	if l.ports.looking || !l.swept {
		return 0
	}
	return l.ports.at
}

// listen looks who holds the ports that pods want, as long as somebody does.
func (l *loop) listen(now pod.Moment) {
	p := &l.ports
	if at := l.listensAt(); at == 0 || now < at {
		return
	}
	p.looking = true
	wanted := p.wanted
	ports := make([]int32, len(wanted))
	for i, hp := range wanted {
		ports[i] = hp.Port
	}
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		found, err := l.cfg.Network.Listeners(ctx, ports...)
		l.send(func(l *loop) { l.heard(wanted, found, err) })
	})
}

// heard takes what was found. A look that failed holds nobody back.
func (l *loop) heard(wanted []pod.HostPort, found []pod.Listener, err error) {
	p := &l.ports
	p.looking = false
	if err != nil {
		l.event(pod.Key{}, warning, "PortsUnknown", fmt.Sprintf("it can't be told who listens on ports of this host, so pods start as if they were free: %v", err))
	}
	heard := plan.Hear(wanted, found)
	p.at = 0
	for _, listeners := range heard {
		if len(listeners) > 0 {
			p.at = l.cfg.Now().Moment.Add(portLook)
		}
	}
	if !reflect.DeepEqual(heard, p.heard) {
		p.heard = heard
		l.unmerged = true
	}
}
