package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// amend changes limits in place and records the wanted pod. The pod's cgroup
// grows first and shrinks last, since the kernel wants every parent at least
// as large as its children. A limit below what is in use is held.
func (l *loop) amend(ps *podState, a plan.Amend) func(context.Context) (fact, error) {
	cfg, want := l.cfg, a.Desired.Pod
	uid := l.uid(l.instance(ps, a.Instance))
	var containers []pod.Container
	for _, id := range a.IDs {
		containers = append(containers, ps.containers[id])
	}
	lost := ps.limitsLost
	ps.limitsLost = false
	return func(ctx context.Context) (fact, error) {
		stillLost := func(*loop) { ps.limitsLost = ps.limitsLost || lost }
		resizes := func(c pod.Container) bool { return lost || resized(c, want) }
		resizing := slices.ContainsFunc(containers, resizes)
		if resizing {
			if err := cfg.Cgroups.Grow(ctx, uid, want); err != nil {
				return stillLost, fmt.Errorf("grow the cgroup of pod %s: %w", ps.key, err)
			}
		}
		var amended []string
		var failures []error
		for _, c := range containers {
			if err := l.amendOne(ctx, c, a.Desired, resizes(c)); err != nil {
				failures = append(failures, err)
				continue
			}
			amended = append(amended, c.ID)
		}
		if resizing && len(failures) == 0 {
			if err := cfg.Cgroups.Shrink(ctx, uid, want); err != nil {
				failures = append(failures, fmt.Errorf("shrink the cgroup of pod %s: %w", ps.key, err))
			}
		}
		return func(l *loop) {
			ps.amended(amended, a.Desired)
			if len(failures) > 0 {
				stillLost(l)
			}
		}, errors.Join(failures...)
	}
}

func (l *loop) amendOne(ctx context.Context, c pod.Container, d *pod.Desired, resize bool) error {
	spec := pod.ContainerSpec(d.Pod, c.Name)
	if spec != nil && resize {
		if limit := spec.Resources.Limits.Memory(); !limit.IsZero() {
			used, err := l.cfg.Cgroups.MemoryUsage(ctx, c.CgroupPath)
			if err != nil {
				return fmt.Errorf("read the memory use of container %s: %w", c.Name, err)
			}
			if used > limit.Value() {
				return &pod.Refused{Reason: "ResizeHeld", Message: fmt.Sprintf(
					"container %s: memory limit %s is below the %d bytes in use: the old limit stays until there is room",
					c.Name, limit.String(), used)}
			}
		}
		resources, _ := l.cfg.Cgroups.Container(d.Pod, spec)
		if err := l.cfg.Containers.Resize(ctx, c.ID, resources); err != nil {
			return fmt.Errorf("resize container %s: %w", c.Name, err)
		}
	}
	if err := l.cfg.Containers.Record(ctx, c.ID, d.Pod, d.Origin); err != nil {
		return fmt.Errorf("record the change with container %s: %w", c.Name, err)
	}
	return nil
}

// resized tells whether a container's wanted resources differ from its own.
func resized(c pod.Container, want *corev1.Pod) bool {
	old, now := c.Spec(), pod.ContainerSpec(want, c.Name)
	return old != nil && now != nil && !sameResources(old.Resources, now.Resources)
}

func sameResources(a, b corev1.ResourceRequirements) bool {
	return sameList(a.Requests, b.Requests) && sameList(a.Limits, b.Limits)
}

func sameList(a, b corev1.ResourceList) bool {
	if len(a) != len(b) {
		return false
	}
	for name, q := range a {
		other, ok := b[name]
		if !ok || q.Cmp(other) != 0 {
			return false
		}
	}
	return true
}

func (ps *podState) amended(ids []string, d *pod.Desired) {
	for _, id := range ids {
		if c, ok := ps.containers[id]; ok {
			c.Pod, c.Origin = d.Pod, d.Origin
			ps.containers[id] = c
		}
	}
}
