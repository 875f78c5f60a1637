package agent

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/podstead/podstead/pod"
)

// setNetwork sets the whole network anew if any of it changed. Before
// containerd was listed for the first time nothing is known, and what a former
// podstead set stays.
func (l *loop) setNetwork(now pod.Moment) {
	if !l.swept || !l.servicesKnown(now) || !l.network.begin(now) {
		return
	}
	wanted := pod.NetworkConfig{Services: l.services.result.Services}
	for _, key := range sortedKeys(l.pods) {
		wanted.Pods = append(wanted.Pods, l.pods[key].networks...)
	}
	l.services.setting = l.services.result.Serving
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		err := l.cfg.Network.Set(ctx, wanted)
		l.send(func(l *loop) { l.networkSet(err) })
	})
}

func (l *loop) networkSet(err error) {
	l.network.end(err, l.cfg.Now().Moment)
	l.viewServices()
	leftOut, in := errors.AsType[*pod.LeftOut](err)
	if err == nil || in {
		l.servingNow()
	}
	switch {
	case in:
		l.event(pod.Key{}, warning, "NetworkFailed", fmt.Sprintf("the rules of the pods' network are set except for what can't be used: %v", leftOut.Err))
	case err != nil:
		l.event(pod.Key{}, warning, "NetworkFailed", fmt.Sprintf("the rules of the pods' network can't be set, those before stay and it is tried again: %v", err))
	}
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
