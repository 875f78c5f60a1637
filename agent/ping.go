package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/podstead/podstead/pod"
)

// A runtime that is asked nothing for long would be taken for well while it
// hangs. It is asked for a sign of life so often, and has so long to give it:
// an overloaded server is no broken one.
const (
	pingInterval = 10 * time.Second
	pingTimeout  = 15 * time.Second
)

// pinging is the question for a sign of life.
type pinging struct {
	at       pod.Moment
	underWay bool
}

func (l *loop) ping(now pod.Moment) {
	if l.pings.underWay || !l.runtime.Up || now < l.pings.at {
		return
	}
	l.pings.underWay = true
	l.spawn(func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		err := l.cfg.Containers.Ping(bounded)
		if err != nil && ctx.Err() == nil && bounded.Err() != nil {
			err = fmt.Errorf("containerd has not answered for %s", pingTimeout)
		}
		l.send(func(l *loop) { l.pinged(err) })
	})
}

func (l *loop) pinged(err error) {
	l.pings = pinging{at: l.cfg.Now().Moment.Add(pingInterval)}
	if err != nil && l.runtime.Up {
		l.runtimeDown(err)
	}
}
