package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// sweepLeftovers removes, once after the start, what an earlier podstead left
// of pods of which neither a container nor a sandbox is there: it was killed
// between two steps, or the host lost its power. What is not below our own
// folders and cgroups, or among logs, is never listed, so never touched.
func (l *loop) sweepLeftovers(containers []pod.Container, sandboxes []pod.Sandbox) {
	if l.swept {
		return
	}
	l.swept = true
	known := map[types.UID]bool{}
	for i := range containers {
		known[containers[i].UID] = true
	}
	var halfMade []types.UID
	for i := range sandboxes {
		if sandboxes[i].Instance.Key == (pod.Key{}) {
			halfMade = append(halfMade, sandboxes[i].UID)
			continue
		}
		known[sandboxes[i].UID] = true
	}
	history := maps.Clone(l.history)
	l.spawn(func(ctx context.Context) {
		for _, kind := range []struct {
			what   string
			list   func(context.Context) ([]types.UID, error)
			remove func(context.Context, types.UID) error
		}{
			{"cgroup", l.cfg.Cgroups.List, l.cfg.Cgroups.Remove},
			{"volumes", l.cfg.Volumes.List, l.cfg.Volumes.Remove},
			{"network", l.cfg.Network.List, l.cfg.Network.Remove},
		} {
			uids, err := kind.list(ctx)
			if err != nil {
				l.leftoversUnknown(kind.what, err)
			}
			for _, uid := range slices.DeleteFunc(uids, func(uid types.UID) bool { return known[uid] }) {
				l.removeLeftover(ctx, kind.what, uid, kind.remove)
			}
		}
		for _, uid := range halfMade {
			l.removeLeftover(ctx, "sandbox", uid, l.cfg.Sandboxes.Remove)
		}
		l.sweepLogs(ctx, known, history)
	})
}

// sweepLogs removes the logs of our instances that are gone.
func (l *loop) sweepLogs(ctx context.Context, known map[types.UID]bool, history map[string]int) {
	folders, err := l.cfg.Logs.List(ctx)
	if err != nil {
		l.leftoversUnknown("logs", err)
		return
	}
	for _, i := range plan.OwnLogs(l.cfg.Node.ID, folders, history) {
		if uid := pod.UID(l.cfg.Node.ID, i); !known[uid] {
			l.removeLeftover(ctx, "logs", uid, func(ctx context.Context, uid types.UID) error { return l.cfg.Logs.Remove(ctx, i, uid) })
		}
	}
}

// leftoversUnknown tells of leftovers that can't be looked for.
func (l *loop) leftoversUnknown(what string, err error) {
	l.send(func(l *loop) {
		l.event(pod.Key{}, warning, "LeftoversUnknown", fmt.Sprintf("what is left as %s of pods that are gone can't be listed: %v", what, err))
	})
}

func (l *loop) removeLeftover(ctx context.Context, what string, uid types.UID, remove func(context.Context, types.UID) error) {
	asked := make(chan bool, 1)
	l.send(func(l *loop) { asked <- l.uses(uid) })
	select {
	case used := <-asked:
		if used {
			return
		}
	case <-ctx.Done():
		return
	}
	err := remove(ctx, uid)
	l.send(func(l *loop) {
		if err != nil {
			l.event(pod.Key{}, warning, "LeftoverStays", fmt.Sprintf("the %s of a pod that is gone (uid %s) can't be removed: %v", what, uid, err))
			return
		}
		l.counts.change().Leftovers[what]++
		l.event(pod.Key{}, normal, "LeftoverRemoved", fmt.Sprintf("removed the %s of a pod that is gone (uid %s)", what, uid))
	})
}

// uses tells whether a uid was taken meanwhile.
func (l *loop) uses(uid types.UID) bool {
	for _, ps := range l.pods {
		for number := range ps.begun {
			if l.uid(pod.Instance{Key: ps.key, Number: number}) == uid {
				return true
			}
		}
	}
	return false
}
