package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// Claim is one pod that takes part in admission.
type Claim struct {
	Key pod.Key
	// Wanted is nil for a pod that is on its way out.
	Wanted *corev1.Pod
	// Live is the version whose containers hold ports now, nil if none do.
	Live *corev1.Pod
	// UIDs are those of the pod's instances: their processes are in nobody's
	// way but of other pods.
	UIDs []types.UID
}

// Admit says which pods must not start now and why. A pod is Blocked when it
// can't be had beside the other wanted pods: running ones keep what they
// have, then the order of keys decides. It is Blocked too when a process of
// the host has its port, and as long as nobody has looked who listens on the
// new ports of one that runs. It is Waiting when only a pod that is on its way
// out is in its way, or nobody has looked yet and nothing of it runs.
func Admit(claims []Claim, room Room, heard Listening) map[pod.Key]Want {
	claims = slices.Clone(claims)
	slices.SortFunc(claims, func(a, b Claim) int {
		if (a.Live != nil) != (b.Live != nil) {
			if a.Live != nil {
				return -1
			}
			return 1
		}
		if a.Key == b.Key {
			return 0
		}
		if a.Key.Less(b.Key) {
			return -1
		}
		return 1
	})
	verdicts := map[pod.Key]Want{}
	granted := grants{ports: portTable{}, heard: heard, owners: owners(claims), room: room, requests: map[pod.Key]corev1.ResourceList{}}
	for _, c := range claims {
		if c.Wanted != nil && c.Live != nil {
			granted.give(c.Key, c.Live)
		}
	}
	for _, c := range claims {
		if c.Wanted == nil {
			continue
		}
		if o := granted.take(c); o != nil {
			verdicts[c.Key] = Want{Blocked: o}
		}
	}
	held := holders(claims)
	for _, c := range claims {
		if c.Wanted == nil || verdicts[c.Key].Blocked != nil {
			continue
		}
		if o := heldByOther(c, held); o != nil {
			verdicts[c.Key] = Want{Waiting: o}
		} else if o := granted.leaving(c, claims); o != nil {
			verdicts[c.Key] = Want{Waiting: o}
		} else if o := notHeard(c, heard); o != nil && c.Live != nil {
			verdicts[c.Key] = Want{Blocked: o}
		} else if o != nil {
			verdicts[c.Key] = Want{Waiting: o}
		}
	}
	return verdicts
}

// grants is what was given to the wanted pods so far.
type grants struct {
	ports    portTable
	heard    Listening
	owners   map[types.UID]pod.Key
	room     Room
	requests map[pod.Key]corev1.ResourceList
}

// give lets a pod have what a version of it asks for.
func (g *grants) give(key pod.Key, version *corev1.Pod) {
	g.ports.drop(key)
	g.ports.add(version, key)
	g.requests[key] = pod.Requests(version)
}

// take grants a pod what it asks for, or says why not. A pod that runs keeps
// what it has when its new version is refused.
func (g *grants) take(c Claim) *Obstacle {
	o := g.refuse(c)
	if o == nil {
		g.give(c.Key, c.Wanted)
	}
	return o
}

func (g *grants) refuse(c Claim) *Obstacle {
	for _, hp := range pod.HostPorts(&c.Wanted.Spec) {
		if holder, taken := g.ports.holder(hp, c.Key); taken {
			return &Obstacle{Reason: "PortConflict", Message: fmt.Sprintf(
				"host port %s is taken by pod %s: pod %s starts when it is free", hp, holder, c.Key)}
		}
	}
	if o := g.listener(c); o != nil {
		return o
	}
	return g.insufficient(c)
}

// heldByOther finds a port that another pod's containers still hold.
func heldByOther(c Claim, held portTable) *Obstacle {
	for _, hp := range pod.HostPorts(&c.Wanted.Spec) {
		if holder, taken := held.holder(hp, c.Key); taken {
			return &Obstacle{Reason: "PortConflict", Message: fmt.Sprintf(
				"host port %s is still held by pod %s, which is on its way out: pod %s starts right after", hp, holder, c.Key)}
		}
	}
	return nil
}
