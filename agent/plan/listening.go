package plan

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// Listening is who listens on ports of the host. A port that is not in it was
// not looked at; one with an empty list is free.
type Listening map[pod.HostPort][]pod.Listener

// NewPorts lists the ports of the host that a pod wants and does not hold yet,
// in order.
func NewPorts(c Claim) []pod.HostPort {
	if c.Wanted == nil {
		return nil
	}
	held := portTable{}
	if c.Live != nil {
		held.add(c.Live, c.Key)
	}
	var ports []pod.HostPort
	for _, hp := range pod.HostPorts(&c.Wanted.Spec) {
		if _, mine := held.holder(hp, pod.Key{}); !mine && !slices.Contains(ports, hp) {
			ports = append(ports, hp)
		}
	}
	slices.SortFunc(ports, func(a, b pod.HostPort) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.IP, b.IP))
	})
	return ports
}

// Hear tells for each port who is in its way: whoever has the same port on the
// same address, or where either has it on all.
func Hear(ports []pod.HostPort, found []pod.Listener) Listening {
	heard := Listening{}
	for _, hp := range ports {
		heard[hp] = nil
		for _, l := range found {
			if hp.Clashes(l.HostPort) {
				heard[hp] = append(heard[hp], l)
			}
		}
	}
	return heard
}

func owners(claims []Claim) map[types.UID]pod.Key {
	owners := map[types.UID]pod.Key{}
	for _, c := range claims {
		for _, uid := range c.UIDs {
			owners[uid] = c.Key
		}
	}
	return owners
}

// listener finds a Service or a process of somebody else on a port that a pod
// wants anew.
func (g *grants) listener(c Claim) *Obstacle {
	for _, hp := range NewPorts(c) {
		for _, p := range g.room.Ports {
			if hp.Clashes(p.HostPort) {
				return &Obstacle{Reason: "PortConflict", Message: fmt.Sprintf(
					"host port %s is taken by %s: pod %s starts when it is free", hp, p.Holder, c.Key)}
			}
		}
		for _, l := range g.heard[hp] {
			if !slices.Contains(c.UIDs, l.UID) {
				return &Obstacle{Reason: "PortConflict", Message: fmt.Sprintf(
					"host port %s is taken by %s: pod %s starts when it is free", hp, g.holderName(l), c.Key)}
			}
		}
	}
	return nil
}

func (g *grants) holderName(l pod.Listener) string {
	name := "a process that can't be told"
	if l.PID != 0 {
		name = fmt.Sprintf("process %s (pid %d)", l.Name, l.PID)
	}
	if key, ours := g.owners[l.UID]; ours {
		name += " of pod " + key.String()
	}
	return name
}

// ReasonLooking is the reason of an obstacle while nobody knows yet whether
// there is one.
const ReasonLooking = "ContainerCreating"

// notHeard finds a port that a pod wants anew and nobody has looked at.
func notHeard(c Claim, heard Listening) *Obstacle {
	for _, hp := range NewPorts(c) {
		if _, known := heard[hp]; !known {
			return &Obstacle{Reason: ReasonLooking, Message: fmt.Sprintf(
				"it is being looked at whether host port %s is free", hp)}
		}
	}
	return nil
}
