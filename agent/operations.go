package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

func (l *loop) instance(ps *podState, number int) pod.Instance {
	return pod.Instance{Key: ps.key, Number: number}
}

// prepare makes cgroup, network, sandbox and volumes of an instance. The
// sandbox is last: its record says that the others are there.
func (l *loop) prepare(ps *podState, a plan.Prepare) func(context.Context) (fact, error) {
	ps.begun[a.Instance] = true
	ps.lastInstance = max(ps.lastInstance, a.Instance)
	cfg, i, p := l.cfg, l.instance(ps, a.Instance), a.Desired.Pod
	uid := l.uid(i)
	return func(ctx context.Context) (fact, error) {
		if err := cfg.Cgroups.Prepare(ctx, uid, p); err != nil {
			return nil, fmt.Errorf("prepare the cgroup of pod %s: %w", i.Key, err)
		}
		if err := cfg.Volumes.Prepare(ctx, uid, p); err != nil {
			return nil, fmt.Errorf("prepare the volumes of pod %s: %w", i.Key, err)
		}
		net, err := cfg.Network.Ensure(ctx, uid, p)
		if err != nil {
			return nil, fmt.Errorf("prepare the network of pod %s: %w", i.Key, err)
		}
		sandbox, err := cfg.Sandboxes.Prepare(ctx, i, uid, p, net)
		if err != nil {
			return nil, fmt.Errorf("prepare the sandbox of pod %s: %w", i.Key, err)
		}
		return func(*loop) {
			ps.sandboxes[i.Number] = sandbox
			delete(ps.unwired, i.Number)
		}, nil
	}
}

// start makes and starts one run of a container.
func (l *loop) start(ps *podState, a plan.Start) func(context.Context) (fact, error) {
	cfg, i, p := l.cfg, l.instance(ps, a.Instance), a.Desired.Pod
	uid := l.uid(i)
	r := pod.StartRequest{
		ID: pod.ContainerID(uid, a.Container, a.Attempt), Instance: i, UID: uid,
		Name: a.Container, Role: a.Role, Attempt: a.Attempt, Failures: a.Failures,
		Pod: p, Origin: a.Desired.Origin, Image: a.Image,
		Sandbox: ps.sandboxes[a.Instance], PausePID: a.PausePID, Node: l.node,
		OOMScoreAdj: pauseOOMScore,
	}
	r.CgroupPath = cfg.Cgroups.Path(uid, p) + "/" + r.ID
	if c := pod.ContainerSpec(p, a.Container); c != nil {
		r.Resources, r.OOMScoreAdj = cfg.Cgroups.Container(p, c)
	}
	l.starting[r.ID] = false
	return func(ctx context.Context) (fact, error) {
		if a.Role != pod.RolePause {
			mounts, err := cfg.Volumes.Mounts(ctx, uid, p, a.Container)
			if err != nil {
				return nil, fmt.Errorf("mount the volumes of container %s: %w", a.Container, err)
			}
			r.Mounts = mounts
		}
		c, err := cfg.Containers.Start(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("start container %s: %w", a.Container, err)
		}
		return func(l *loop) { l.observed(ps, c) }, nil
	}
}

// startEnded looks at a container to which something happened before its start
// was known: a short life ends so early.
func (l *loop) startEnded(ps *podState, a plan.Start) {
	id := pod.ContainerID(l.uid(l.instance(ps, a.Instance)), a.Container, a.Attempt)
	happened := l.starting[id]
	delete(l.starting, id)
	if happened {
		l.look(id)
	}
}

// pauseOOMScore is what the kubelet gives to sandboxes.
const pauseOOMScore = -998

// stop writes the intent, then sends the stop signal unless that is to wait
// for a hook. The grace begins with the hook, or else with the signal, not
// with the wish for it: a containerd that hung must cost no container its
// grace.
func (l *loop) stop(ps *podState, a plan.Stop) func(context.Context) (fact, error) {
	cfg := l.cfg
	s := pod.Stopping{Since: a.Since, Scope: a.Scope, Grace: a.Grace, Reason: a.Reason, Failure: a.Failure}
	hooked := !a.Since.IsZero()
	if !hooked {
		s.Since = cfg.Now()
	}
	return func(ctx context.Context) (fact, error) {
		if err := cfg.Containers.Stop(ctx, a.ID, s); err != nil {
			return nil, fmt.Errorf("record the stop of container %s: %w", a.Container, err)
		}
		if !a.Hold {
			s.Signalled = cfg.Now()
			if !hooked {
				s.Since = s.Signalled
			}
			if err := cfg.Containers.Stop(ctx, a.ID, s); err != nil {
				return nil, fmt.Errorf("stop container %s: %w", a.Container, err)
			}
			s.Signalled = cfg.Now()
			if !hooked {
				s.Since = s.Signalled
			}
		}
		return func(*loop) {
			if c, ok := ps.containers[a.ID]; ok {
				c.Stopping = &s
				ps.containers[a.ID] = c
			}
			delete(ps.restart, a.ID)
		}, nil
	}
}

func (l *loop) kill(ps *podState, a plan.Kill) func(context.Context) (fact, error) {
	cfg := l.cfg
	ps.killed[a.ID] = cfg.Now().Moment
	return func(ctx context.Context) (fact, error) {
		if err := cfg.Containers.Kill(ctx, a.ID); err != nil {
			return nil, fmt.Errorf("kill container %s: %w", a.Container, err)
		}
		return func(l *loop) { l.look(a.ID) }, nil
	}
}

func (l *loop) reap(ps *podState, a plan.Reap) func(context.Context) (fact, error) {
	cfg := l.cfg
	return func(ctx context.Context) (fact, error) {
		c, err := cfg.Containers.Reap(ctx, a.ID)
		if err != nil {
			return nil, fmt.Errorf("collect container %s: %w", a.Container, err)
		}
		return func(l *loop) { l.observed(ps, c) }, nil
	}
}

func (l *loop) remove(ps *podState, a plan.Remove) func(context.Context) (fact, error) {
	cfg, log := l.cfg, ps.containers[a.ID].LogPath
	return func(ctx context.Context) (fact, error) {
		// The record goes last: only it tells where the logs are.
		if log != "" {
			if err := cfg.Logs.Prune(ctx, log); err != nil {
				return nil, fmt.Errorf("prune the logs of container %s: %w", a.Container, err)
			}
		}
		if err := cfg.Containers.Remove(ctx, a.ID); err != nil {
			return nil, fmt.Errorf("remove container %s: %w", a.Container, err)
		}
		return func(*loop) { ps.drop(a.ID) }, nil
	}
}

// teardown removes everything of an instance. The sandbox goes last: while it
// is there, a restart finds what is left to do.
func (l *loop) teardown(ps *podState, a plan.Teardown) func(context.Context) (fact, error) {
	cfg, i := l.cfg, l.instance(ps, a.Instance)
	uid := l.uid(i)
	var ids []string
	for id, c := range ps.containers {
		if c.Instance.Number == a.Instance {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids, marked := condemnedLast(ids, ps.containers)
	intent := pod.Stopping{Since: cfg.Now(), Scope: pod.StopPod, Reason: "everything of the pod is being removed"}
	// What is left of it is no pod to go on with.
	delete(ps.begun, a.Instance)
	if c := ps.newestOf(a.Instance); c.Pod != nil {
		ps.cleared[a.Instance] = &pod.Desired{Key: ps.key, Pod: c.Pod, Origin: c.Origin}
	}
	history, version := l.remember(i, ps.newestOf(a.Instance).Pod)
	return func(ctx context.Context) (fact, error) {
		// What fills a disk must be removable from it: the number is kept in
		// memory, and recorded at the end if it can't be now.
		unsaved := cfg.History.Save(history, version)
		if len(ids) > 0 && !marked {
			if err := cfg.Containers.Stop(ctx, ids[len(ids)-1], intent); err != nil {
				return nil, fmt.Errorf("record that %s is being removed: %w", i, err)
			}
		}
		var gone []string
		removed := func(*loop) {
			for _, id := range gone {
				ps.drop(id)
			}
		}
		for _, id := range ids {
			if err := cfg.Containers.Remove(ctx, id); err != nil {
				return removed, fmt.Errorf("remove container %s: %w", id[:12], err)
			}
			gone = append(gone, id)
		}
		if err := l.clear(ctx, i); err != nil {
			return removed, err
		}
		if unsaved != nil {
			unsaved = cfg.History.Save(history, version)
		}
		return func(l *loop) {
			removed(l)
			if unsaved != nil {
				l.event(ps.key, warning, "HistoryUnsaved", fmt.Sprintf("that %s was used can't be recorded, after a restart of podstead its uid may be used again: %v", i, unsaved))
			}
			delete(ps.sandboxes, a.Instance)
			if reason := ps.exceeded[a.Instance]; reason != "" {
				ps.evicted = l.cfg.Settings.Evicted(ps.evicted, reason, l.cfg.Now().Moment)
			}
			delete(ps.exceeded, a.Instance)
			delete(ps.unwired, a.Instance)
			delete(ps.cleared, a.Instance)
			maps.DeleteFunc(ps.resolved, func(n plan.Name, _ pod.Image) bool { return n.Instance <= a.Instance })
			clear(ps.failed)
			l.unmerged = true
			l.event(ps.key, normal, "Removed", fmt.Sprintf("Pod %s (uid %s) and everything of it is gone", i.Key, uid))
		}, nil
	}
}

// condemnedLast puts a container that bears the intent to end the whole
// instance, if one does, to the end: while a container is left, so is the
// intent, and a teardown that is cut off is gone on with.
func condemnedLast(ids []string, containers map[string]pod.Container) (ordered []string, marked bool) {
	i := slices.IndexFunc(ids, func(id string) bool {
		s := containers[id].Stopping
		return s != nil && s.Scope == pod.StopPod
	})
	if i < 0 {
		return ids, false
	}
	return append(slices.Delete(slices.Clone(ids), i, i+1), ids[i]), true
}

// clear removes what is left of an instance besides its containers.
func (l *loop) clear(ctx context.Context, i pod.Instance) error {
	uid := l.uid(i)
	steps := []struct {
		what string
		do   func() error
	}{
		{"cgroup", func() error { return l.cfg.Cgroups.Remove(ctx, uid) }},
		{"shim", func() error { return l.cfg.Containers.Forget(ctx, uid) }},
		{"volumes", func() error { return l.cfg.Volumes.Remove(ctx, uid) }},
		{"logs", func() error { return l.cfg.Logs.Remove(ctx, i, uid) }},
		{"network", func() error { return l.cfg.Network.Remove(ctx, uid) }},
		{"sandbox", func() error { return l.cfg.Sandboxes.Remove(ctx, uid) }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("remove the %s of pod %s: %w", step.what, i.Key, err)
		}
	}
	return nil
}
