package runtime

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
	"github.com/moby/sys/signal"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Stop implements agent.Containers. The signal is the image's STOPSIGNAL, or
// SIGTERM. It is recorded after it was sent: cut off in between, it is sent
// again, and not taken for sent.
func (r *Runtime) Stop(ctx context.Context, id string, s pod.Stopping) error {
	return r.whenFull(func() error { return r.stop(r.scope(ctx), id, s) })
}

func (r *Runtime) stop(ctx context.Context, id string, s pod.Stopping) error {
	if !s.Signalled.IsZero() {
		if err := r.sendStop(ctx, id); err != nil {
			return err
		}
		sent := r.now()
		if s.Since.Moment == s.Signalled.Moment {
			s.Since = sent
		}
		s.Signalled = sent
	}
	err := r.write(ctx, id, partStopping, stopping{Stopping: s, Boot: r.cfg.BootID})
	if err != nil && !isNotFound(err) {
		return failed("record the stop of container", id, err)
	}
	return nil
}

// sendStop sends a container its own stop signal.
func (r *Runtime) sendStop(ctx context.Context, id string) error {
	c, err := r.client.ContainerService().Get(ctx, id)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return failed("read container", id, err)
	}
	var rec record
	decodePart(&c, partRecord, &rec)
	return r.signal(ctx, id, stopSignal(rec.StopSignal), false)
}

// Kill implements agent.Containers.
func (r *Runtime) Kill(ctx context.Context, id string) error {
	return r.signal(r.scope(ctx), id, unix.SIGKILL, true)
}

// Record implements agent.Containers. A container that is gone is an error.
func (r *Runtime) Record(ctx context.Context, id string, p *corev1.Pod, o pod.Origin) error {
	if err := r.write(r.scope(ctx), id, partPod, wanted{Pod: p, Origin: o}); err != nil {
		return failed("record the pod of container", id, err)
	}
	return nil
}

// write replaces one part of a container's record.
func (r *Runtime) write(ctx context.Context, id, part string, v any) error {
	encoded, err := encodePart(part, v)
	if err != nil {
		return err
	}
	c := containers.Container{ID: id, Extensions: map[string]typeurl.Any{part: encoded}}
	_, err = r.client.ContainerService().Update(ctx, c, "extensions."+part)
	return err
}

// signal sends a signal to the init process or to all processes. A process
// that has ended is no error.
func (r *Runtime) signal(ctx context.Context, id string, sig unix.Signal, all bool) error {
	_, err := r.client.TaskService().Kill(ctx, &tasks.KillRequest{ContainerID: id, Signal: uint32(sig), All: all})
	if err == nil || isNotFound(err) {
		return nil
	}
	return failed(fmt.Sprintf("send %s to container", unix.SignalName(sig)), id, err)
}

// stopSignal reads an image's STOPSIGNAL, a name or a number. What can't be
// read is SIGTERM, as for an image that names none: a pod must stop all the
// same.
func stopSignal(name string) unix.Signal {
	if name != "" {
		if s, err := signal.ParseSignal(name); err == nil {
			return s
		}
	}
	return unix.SIGTERM
}
