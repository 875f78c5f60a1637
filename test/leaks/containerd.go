package leaks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
)

// pullLease begins the ids of leases by which a pull that was cut off keeps
// what it has fetched, for a day.
const pullLease = "podstead-pull-"

// containerd notes what pods leave in containerd. Images, their content and
// their unpacked layers are meant to stay.
func (s Snapshot) containerd(ctx context.Context, c Config) error {
	cl, err := client.New(c.Containerd, client.WithTimeout(10*time.Second))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx = namespaces.WithNamespace(ctx, c.Namespace)
	for _, look := range []func(context.Context, *client.Client) error{s.containers, s.snapshots, s.leases, s.sandboxes} {
		if err := look(ctx, cl); err != nil {
			return err
		}
	}
	return nil
}

func (s Snapshot) containers(ctx context.Context, cl *client.Client) error {
	all, err := cl.Containers(ctx)
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	for _, c := range all {
		s["container"] = append(s["container"], c.ID())
		if _, err := c.Task(ctx, nil); err == nil {
			s["task"] = append(s["task"], c.ID())
		} else if !errdefs.IsNotFound(err) {
			return fmt.Errorf("look for the task of %s: %w", c.ID(), err)
		}
	}
	return nil
}

func (s Snapshot) snapshots(ctx context.Context, cl *client.Client) error {
	return cl.SnapshotService("").Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if info.Kind != snapshots.KindCommitted {
			s["snapshot"] = append(s["snapshot"], info.Name)
		}
		return nil
	})
}

func (s Snapshot) leases(ctx context.Context, cl *client.Client) error {
	all, err := cl.LeasesService().List(ctx)
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	for _, l := range all {
		if !strings.HasPrefix(l.ID, pullLease) {
			s["lease"] = append(s["lease"], l.ID)
		}
	}
	return nil
}

// sandboxes are unknown to containerd before 2.0.
func (s Snapshot) sandboxes(ctx context.Context, cl *client.Client) error {
	all, err := cl.SandboxStore().List(ctx)
	if err != nil && !errdefs.IsNotImplemented(err) {
		return fmt.Errorf("list sandboxes: %w", err)
	}
	for _, sb := range all {
		s["sandbox"] = append(s["sandbox"], sb.ID)
	}
	return nil
}
