package network

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// settle is how long changes are gathered before they are looked at.
	settle = 50 * time.Millisecond
	// again is how soon what failed is tried again.
	again = 500 * time.Millisecond
	// anyway is how often things are looked at without a sign of change.
	anyway = 5 * time.Minute
)

// Run keeps the network as it was set until ctx ends, and returns its error:
// it sets our table again within a second after somebody changed or flushed
// it, keeps the host forwarding, puts back what the host's ends of pods' links
// lack, tells of links that went, also while it did not run, looks for foreign rules that block pods, and runs the forwarder.
// It waits for the kernel's word and costs nothing while nothing changes.
func (n *Network) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	ours, foreign := make(chan struct{}, 1), make(chan struct{}, 1)
	group.Go(func() error { return n.hear(ctx, unix.NETLINK_NETFILTER, n.sortRules(ours, foreign), nftGroup) })
	group.Go(func() error { return n.keepTable(ctx, ours) })
	group.Go(func() error { return n.keepWarnings(ctx, foreign) })
	host := make(chan struct{}, 1)
	group.Go(func() error { return n.hear(ctx, unix.NETLINK_ROUTE, n.sortHost(host, foreign), hostGroups()...) })
	group.Go(func() error { return n.keepHost(ctx, host) })
	if n.cfg.LoopbackForwarder {
		group.Go(func() error { return n.forwardLoopback(ctx) })
	}
	return group.Wait()
}

func (n *Network) keepTable(ctx context.Context, changed <-chan struct{}) error {
	wait := anyway
	for {
		if err := pause(ctx, changed, wait); err != nil {
			return err
		}
		wait = anyway
		switch repaired, err := n.rules.repair(ctx); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			wait = again
			n.cfg.Report(Event{Message: fmt.Sprintf("somebody changed nftables table inet %s and it can't be set again, ports of the host may not lead to pods: %v", n.rules.name, err)})
		case repaired:
			n.cfg.Report(Event{Message: fmt.Sprintf("somebody changed or flushed nftables table inet %s: it was set again", n.rules.name)})
		}
	}
}

// pause waits for a change, and for what follows it at once; or for a time.
func pause(ctx context.Context, changed <-chan struct{}, most time.Duration) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	case <-changed:
	}
	timer.Reset(settle)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// keepHost looks after what pods need of the host outside the table.
func (n *Network) keepHost(ctx context.Context, changed <-chan struct{}) error {
	told := cuts{}
	for {
		wait, err := n.mendHost(told)
		if err != nil {
			n.cfg.Report(Event{Message: fmt.Sprintf("the host's links and routes can't be looked after: %v", err)})
		}
		if err := pause(ctx, changed, wait); err != nil {
			return err
		}
	}
}

func (n *Network) keepForwarding() error {
	four, err := readSysctl(forwarding4)
	six := ipv6Enabled()
	routes6 := "1"
	if six && err == nil {
		routes6, err = readSysctl(forwarding6)
	}
	if err != nil || four == "1" && routes6 == "1" {
		return err
	}
	if err := forward(six); err != nil {
		return err
	}
	n.cfg.Report(Event{Message: "somebody switched off IP forwarding, without which pods are cut off: it is on again"})
	return nil
}
