package agent

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/podstead/podstead/pod"
)

// The back-off of setting the network.
const (
	networkRetry    = time.Second
	networkRetryMax = 30 * time.Second
)

// networkState is how far the host's network is what it is to be.
type networkState struct {
	// changed tells that what is wanted differs from what was set last.
	changed bool
	setting bool
	// at is when to try again after failures.
	at       pod.Moment
	failures int
}

// setNetwork sets the whole network anew if any of it changed. Before
// containerd was listed for the first time nothing is known, and what a former
// podstead set stays.
func (l *loop) setNetwork(now pod.Moment) {
	n := &l.network
	if !n.changed || n.setting || now < n.at || !l.swept {
		return
	}
	n.changed, n.setting = false, true
	var wanted pod.NetworkConfig
	for _, key := range sortedKeys(l.pods) {
		wanted.Pods = append(wanted.Pods, l.pods[key].networks...)
	}
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		err := l.cfg.Network.Set(ctx, wanted)
		l.send(func(l *loop) { l.networkSet(err) })
	})
}

func (l *loop) networkSet(err error) {
	n := &l.network
	n.setting = false
	if err == nil {
		n.at, n.failures = 0, 0
		return
	}
	n.changed = true
	n.at = l.cfg.Now().Moment.Add(min(networkRetry<<min(n.failures, 10), networkRetryMax))
	n.failures++
	l.event(pod.Key{}, warning, "NetworkFailed", fmt.Sprintf("the rules of the pods' network can't be set, those before stay and it is tried again: %v", err))
}

// wired notes what the network has to do for a pod, and which probes are to be
// made of it.
func (l *loop) wired(ps *podState, networks []pod.PodNetwork, targets []pod.ProbeTarget) {
	if !reflect.DeepEqual(ps.networks, networks) {
		ps.networks, l.network.changed = networks, true
	}
	if len(ps.targets) != len(targets) {
		l.retarget = true
	}
	for i := range min(len(targets), len(ps.targets)) {
		l.retarget = l.retarget || !sameTarget(ps.targets[i], targets[i])
	}
	ps.targets = targets
}
