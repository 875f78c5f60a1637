package runtime

import (
	"context"
	"fmt"

	"github.com/podstead/podstead/pod"
)

// Remove implements agent.Containers. The record goes last, so that a removal
// that was cut off is seen and repeated. A container whose process lives is
// refused; one that was made and never started is removed with its task.
func (r *Runtime) Remove(ctx context.Context, id string) error {
	return r.whenFull(func() error { return r.remove(r.scope(ctx), id) })
}

func (r *Runtime) remove(ctx context.Context, id string) error {
	s, ok, err := r.look(ctx, id)
	if err != nil || !ok {
		return err
	}
	if s.state != pod.StateDead && s.state != pod.StateCreated {
		return fmt.Errorf("remove container %q: it is %s and must be stopped and reaped before", id, s.state)
	}
	// A task that is only half made is not seen.
	if s.state == pod.StateCreated {
		if err := r.deleteTask(ctx, id); err != nil {
			return err
		}
	}
	if err := r.removeFiles(id, &s.record); err != nil {
		return fmt.Errorf("remove files of container %q: %w", id, err)
	}
	if err := r.client.SandboxStore().Delete(ctx, id); err != nil && !isNotFound(err) && !isNotImplemented(err) {
		return failed("remove the sandbox record of container", id, err)
	}
	if key := s.container.SnapshotKey; key != "" {
		err := r.client.SnapshotService(s.container.Snapshotter).Remove(ctx, key)
		if err != nil && !isNotFound(err) {
			return failed("remove the snapshot of container", id, err)
		}
	}
	if err := r.removeSocket(ctx, id, s.record.UID); err != nil {
		return fmt.Errorf("remove the shim's socket of container %q: %w", id, err)
	}
	if err := r.client.ContainerService().Delete(ctx, id); err != nil && !isNotFound(err) {
		return failed("remove container", id, err)
	}
	return nil
}
