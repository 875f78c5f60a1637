package firewall

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
)

const (
	// gap is how long new connections may fail after a reload.
	gap = time.Second
	// resent is how long a connection may take of which one packet is lost, or
	// that meets a machine which stands still for a moment: TCP sends the first
	// packet again after a second (RFC 6298).
	resent = 2 * time.Second
)

// survives does something to a firewall while all ways are asked, and while a
// connection from outside is open. Soon after its end each way answers, and
// goes on answering.
func (l *lab) survives(what string, do func()) {
	t := l.t()
	t.Helper()
	open, err := harness.DialFrom(l.outside, "tcp", l.fromOutside["node port"], soon)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var askers []*asker
	over := make(chan struct{})
	var group sync.WaitGroup
	l.eachWay(func(name, from, address string) {
		a := &asker{name: name, from: from, address: address}
		askers = append(askers, a)
		group.Go(func() { a.run(ctx, over) })
	})
	begun := time.Now()
	do()
	close(over)
	t.Logf("%s took %s", what, time.Since(begun).Round(time.Millisecond))
	time.Sleep(2 * gap)
	end()
	group.Wait()
	for _, a := range askers {
		a.judge(t, what)
	}
	if err := askOn(open, patience); err != nil {
		t.Errorf("%s: a connection that was open before does not go on: %v", what, err)
	}
}

// asker makes one new connection after another on one way.
type asker struct {
	name, from, address string
	// asked and failed count what was asked before the end of the event.
	asked, failed int
	// back is how long after the end the first connection was answered soon,
	// or zero.
	back time.Duration
	// after counts what was asked since, and lost is what failed of it.
	after int
	lost  []error
}

// run asks until the context ends; over is closed at the end of the event.
func (a *asker) run(ctx context.Context, over <-chan struct{}) {
	var end time.Time
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if end.IsZero() {
			select {
			case <-over:
				end = time.Now()
			default:
			}
		}
		switch {
		case end.IsZero():
			a.asked++
			if ask(a.from, a.address) != nil {
				a.failed++
			}
		case a.back == 0:
			if ask(a.from, a.address) == nil {
				a.back = time.Since(end)
			}
		default:
			a.after++
			if err := askWithin(a.from, a.address, resent); err != nil {
				a.lost = append(a.lost, err)
			}
		}
	}
}

func (a *asker) judge(t *testing.T, what string) {
	t.Helper()
	t.Logf("%s, %s: %d of %d failed; %s after its end new connections were answered, %d of %d failed then",
		what, a.name, a.failed, a.asked, a.back.Round(time.Millisecond), len(a.lost), a.after)
	if a.asked == 0 || a.after < 10 {
		t.Errorf("%s, %s: asked %d times meanwhile and %d times after it, want 1 and 10 at least", what, a.name, a.asked, a.after)
	}
	if a.back == 0 || a.back > gap {
		t.Errorf("%s, %s: answered %s after its end (0 is never), want %s at most", what, a.name, a.back, gap)
	}
	for _, err := range a.lost {
		t.Errorf("%s, %s: failed although it had been answered after its end: %v", what, a.name, err)
	}
}
