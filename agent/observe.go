package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/podstead/podstead/pod"
)

// retryList is how long to wait before a runtime that is down is asked again.
const retryList = time.Second

// watch turns the events of the runtime into looks, for the life of the agent.
func (l *loop) watch(ctx context.Context) {
	err := l.cfg.Containers.Watch(ctx, func(id string) {
		l.send(func(l *loop) {
			if id == "" {
				l.relist()
				return
			}
			l.look(id)
		})
	})
	if err != nil && ctx.Err() == nil {
		l.cfg.Log.Error("the events of the runtime can't be followed, everything is looked at periodically", zap.Error(err))
	}
}

// look observes one container. While it is being looked at or started already,
// it is looked at again afterwards: what is on its way may be older than the
// wish.
func (l *loop) look(id string) {
	for _, inFlight := range []map[string]bool{l.looks, l.starting} {
		if _, ok := inFlight[id]; ok {
			inFlight[id] = true
			return
		}
	}
	ps := l.podOf(id)
	if ps == nil || !l.runtime.Up {
		return
	}
	l.looks[id] = false
	rev := ps.rev
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		c, ok, err := l.cfg.Containers.Observe(ctx, id)
		l.send(func(l *loop) { l.looked(ps, id, rev, c, ok, err) })
	})
}

func (l *loop) looked(ps *podState, id string, rev int, c pod.Container, ok bool, err error) {
	again := l.looks[id]
	delete(l.looks, id)
	if again {
		defer l.look(id)
	}
	switch {
	case err != nil:
		if errors.Is(err, pod.ErrUnavailable) {
			l.runtimeDown(err)
		}
		l.relistSoon()
	case rev != ps.rev:
		l.look(id) // an operation ended meanwhile: what was seen may be older
	case !ok:
		if _, known := ps.containers[id]; known {
			ps.drop(id)
			l.dirty[ps.key] = true
		}
	default:
		l.observed(ps, c)
	}
}

// observed believes what was seen of a container.
func (l *loop) observed(ps *podState, c pod.Container) {
	old, known := ps.containers[c.ID]
	if c.Pod != nil {
		if known && old.Pod != nil && old.State == c.State {
			c.Pod = old.Pod // keep one shared value
		} else {
			l.cfg.Default(c.Pod)
		}
	}
	if c.Logger != "" && c.Logger != old.Logger {
		l.event(ps.key, warning, "LogLost", fmt.Sprintf("Container %s: %s", c.Name, c.Logger))
	}
	ps.put(c)
	l.dirty[ps.key] = true
	if !known || old.Live() != c.Live() {
		l.unmerged = true
	}
	if known && old.State != c.State && c.State == pod.StateDead {
		ps.countOOM(c)
		l.exitEvent(ps, c)
	}
}

func (l *loop) podOf(id string) *podState {
	for _, ps := range l.pods {
		if _, ok := ps.containers[id]; ok {
			return ps
		}
	}
	return nil
}

// relist looks at everything: at start, when the runtime came back, and now
// and then in case an event was lost.
func (l *loop) relist() {
	now := l.cfg.Now().Moment
	if l.listing {
		l.relistAt = now.Add(retryList)
		return
	}
	l.listing = true
	l.relistAt = now.Add(l.cfg.RelistInterval)
	revs := map[pod.Key]int{}
	for key, ps := range l.pods {
		revs[key] = ps.rev
	}
	began, first := now, !l.runtime.Up
	l.checkCgroups()
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		containers, err := l.cfg.Containers.List(ctx)
		var sandboxes []pod.Sandbox
		if err == nil && first {
			sandboxes, err = l.cfg.Sandboxes.List(ctx)
		}
		l.send(func(l *loop) {
			l.countRelist(began)
			l.listed(revs, containers, sandboxes, first, err)
		})
	})
}

func (l *loop) relistSoon() {
	l.relistAt = min(l.relistAt, l.cfg.Now().Moment.Add(retryList))
}

// listed takes a whole listing. Pods on which an operation ended meanwhile
// are looked at again instead.
func (l *loop) listed(revs map[pod.Key]int, containers []pod.Container, sandboxes []pod.Sandbox, first bool, err error) {
	l.listing = false
	if err != nil {
		l.runtimeDown(err)
		l.relistSoon()
		return
	}
	seen := map[pod.Key]map[string]pod.Container{}
	for _, c := range containers {
		if seen[c.Instance.Key] == nil {
			seen[c.Instance.Key] = map[string]pod.Container{}
		}
		seen[c.Instance.Key][c.ID] = c
		l.podState(c.Instance.Key)
	}
	for key, ps := range l.pods {
		if rev, listed := revs[key]; listed && rev != ps.rev || ps.busy[targetPod] {
			l.relistSoon()
			continue
		}
		l.replaceContainers(ps, seen[key])
	}
	if first {
		l.takeSandboxes(sandboxes)
		l.runtimeUp()
		l.sweepLeftovers(containers, sandboxes)
		l.noticeEarly()
	}
}

// replaceContainers makes what is known of a pod equal to a listing.
func (l *loop) replaceContainers(ps *podState, seen map[string]pod.Container) {
	for id := range ps.containers {
		if _, still := seen[id]; !still {
			ps.drop(id)
			l.dirty[ps.key], l.unmerged = true, true
		}
	}
	for id, c := range seen {
		old, known := ps.containers[id]
		if known && old.State == c.State && old.PID == c.PID && old.Logger == c.Logger {
			continue
		}
		l.observed(ps, c)
	}
}

func (l *loop) takeSandboxes(sandboxes []pod.Sandbox) {
	for _, ps := range l.pods {
		if !ps.busy[targetPod] {
			clear(ps.sandboxes)
		}
	}
	for _, s := range sandboxes {
		if s.Instance.Key == (pod.Key{}) {
			continue // half made: a leftover, unless its pod is known by its containers
		}
		ps := l.podState(s.Instance.Key)
		if ps.busy[targetPod] {
			continue
		}
		ps.sandboxes[s.Instance.Number] = s
		ps.lastInstance = max(ps.lastInstance, s.Instance.Number)
	}
}

// podState returns the state of a pod, new if it was not known.
func (l *loop) podState(key pod.Key) *podState {
	ps := l.pods[key]
	if ps == nil {
		ps = newPodState(key, l.cfg.Now())
		ps.lastInstance = l.highest(key)
		l.pods[key] = ps
		l.dirty[key], l.unmerged = true, true
	}
	return ps
}

func (l *loop) runtimeUp() {
	l.runtime.Up, l.runtime.Error, l.runtime.Since = true, "", l.cfg.Now().Wall
	l.unmerged, l.unpublished = true, true
	l.storage.at = l.cfg.Now().Moment
	for key := range l.pods {
		l.dirty[key] = true
	}
	for key := range l.wants {
		l.dirty[key] = true
	}
	l.allRestless()
	l.event(pod.Key{}, normal, "RuntimeUp", "containerd answers at "+l.runtime.Address)
}

// runtimeDown: nothing is decided until a listing succeeds again.
func (l *loop) runtimeDown(err error) {
	l.relistSoon()
	if !l.runtime.Up && l.runtime.Error != "" {
		return
	}
	l.runtime.Up, l.runtime.Error, l.runtime.Since = false, err.Error(), l.cfg.Now().Wall
	l.unpublished = true
	for key := range l.pods {
		l.dirty[key] = true
	}
	l.event(pod.Key{}, warning, "RuntimeDown", "containerd can't be asked, containers are left as they are: "+err.Error())
}

func (l *loop) setRuntime(version string, warnings []string) {
	l.runtime.Version, l.runtime.Warnings = version, warnings
	l.unpublished = true
}

// setHostIPs lets pods that wait for an address of the host start.
func (l *loop) setHostIPs(ips []string) {
	l.node.HostIPs = ips
	l.services.stale = true
	for key := range l.pods {
		l.dirty[key] = true
	}
	l.unpublished = true
}
