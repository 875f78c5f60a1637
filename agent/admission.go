package agent

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// admit adds to the wants what must not start now. A pod whose work is over,
// or that is for another server, claims nothing.
func (l *loop) admit(wants map[pod.Key]plan.Want) {
	claims := make([]plan.Claim, 0, len(wants))
	now := l.cfg.Now().Moment
	elsewhere := l.elsewhere(wants)
	for key, w := range wants {
		if elsewhere[key] != nil && (l.pods[key] == nil || l.pods[key].livePod() == nil) {
			continue
		}
		c := plan.Claim{Key: key}
		if w.Desired != nil {
			c.Wanted = w.Desired.Pod
		}
		if ps := l.pods[key]; ps != nil {
			c.Live = ps.livePod()
			if c.Live == nil && plan.Finished(w, l.have(ps), now) {
				continue
			}
			if w.Keep {
				c.Wanted = c.Live
			}
			if c.Live == nil && c.Wanted != nil {
				// Between two runs it keeps what it has.
				c.Live = ps.newest().Pod
			}
			c.UIDs = l.uids(ps)
		}
		claims = append(claims, c)
	}
	l.claims = claims
	l.ports.wantPorts(claims, l.portsOfWorkloads(claims), now)
	for key, verdict := range plan.Admit(claims, l.room(), l.ports.heard) {
		w := wants[key]
		w.Blocked, w.Waiting = verdict.Blocked, verdict.Waiting
		wants[key] = w
	}
	for key, o := range elsewhere {
		w := wants[key]
		w.Blocked = o
		wants[key] = w
	}
}

// elsewhere are the pods of manifests that are for other servers: of those of
// workloads that is decided already.
func (l *loop) elsewhere(wants map[pod.Key]plan.Want) map[pod.Key]*plan.Obstacle {
	obstacles := map[pod.Key]*plan.Obstacle{}
	for key, w := range wants {
		if w.Desired == nil {
			continue
		}
		if _, derived := l.workloadOf(key); derived {
			continue
		}
		if runs, _, why := workload.Placed(l.rollouts.Node, &w.Desired.Pod.Spec); !runs {
			obstacles[key] = &plan.Obstacle{Reason: "NodeAffinity", Message: fmt.Sprintf(
				"pod %s is for another server: %s; it starts when this server's name and labels in the configuration fit", key, why)}
		}
	}
	return obstacles
}

// room is what pods may have of the server.
func (l *loop) room() plan.Room {
	room := plan.Room{Capacity: l.cfg.Node.Capacity, Allocatable: l.cfg.Node.Allocatable}
	for _, c := range l.services.result.Claims {
		room.Ports = append(room.Ports, plan.HeldPort{HostPort: c.HostPort, Holder: "Service " + c.Service.String()})
	}
	return room
}

// tellObstacle tells once that something holds a pod back. That it is being
// looked at whether something does is no news.
func (l *loop) tellObstacle(key pod.Key, before, after plan.Want) {
	was, is := plan.ObstacleOf(before), plan.ObstacleOf(after)
	if is == nil || is.Reason == plan.ReasonLooking || was != nil && was.Reason == is.Reason {
		return
	}
	l.event(key, warning, is.Reason, is.Message)
}

// edited tells whether the manifest of a pod says something else than before.
func edited(before, after plan.Want) bool {
	return before.Desired != after.Desired && before.Desired != nil && after.Desired != nil &&
		!equality.Semantic.DeepEqual(before.Desired.Pod, after.Desired.Pod)
}

func sameWant(a, b plan.Want) bool {
	return sameDesired(a.Desired, b.Desired) && a.Keep == b.Keep && a.Gone == b.Gone && same(a.Halt, b.Halt) &&
		same(a.Blocked, b.Blocked) && same(a.Waiting, b.Waiting)
}

// sameDesired compares what a source lists; it lists what has not changed by
// the same pod, in a new list.
func sameDesired(a, b *pod.Desired) bool {
	return a == b || a != nil && b != nil && a.Key == b.Key && a.Pod == b.Pod && a.Origin == b.Origin
}

func same[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
