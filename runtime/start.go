package runtime

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/typeurl/v2"
	"golang.org/x/sync/errgroup"

	"github.com/podstead/podstead/pod"
)

// startCode is the exit code of a process that could not be started.
const startCode = 128

// launch is a container on its way to a process.
type launch struct {
	container containers.Container
	record    record
	chainID   string
	terminal  bool
}

// Start implements agent.Containers. The record is written first: whatever is
// made after it, another Start finishes and Remove takes away. An image that
// is not there any more is an ordinary error.
func (r *Runtime) Start(ctx context.Context, q pod.StartRequest) (pod.Container, error) {
	ctx = r.scope(ctx)
	l, err := r.plan(ctx, &q)
	if err != nil {
		// What runs already needs no plan.
		if s, ok, lerr := r.look(ctx, q.ID); lerr == nil && ok && s.state != pod.StateCreated {
			return r.container(s), nil
		}
		return pod.Container{}, err
	}
	created, err := r.client.ContainerService().Create(ctx, l.container)
	if isAlreadyExists(err) {
		return r.resume(ctx, l)
	}
	if err != nil {
		return pod.Container{}, failed("make container", q.ID, err)
	}
	return r.launch(ctx, l, see(created, nil))
}

// resume continues a start that was begun before.
func (r *Runtime) resume(ctx context.Context, l *launch) (pod.Container, error) {
	id := l.container.ID
	s, ok, err := r.look(ctx, id)
	switch {
	case err != nil:
		return pod.Container{}, err
	case !ok:
		return pod.Container{}, fmt.Errorf("make container %q: the name is taken by a container that is not ours, or was just removed", id)
	case s.state == pod.StateRunning && s.started == nil:
		return r.noteStarted(ctx, s)
	case s.state != pod.StateCreated:
		return r.container(s), nil
	case s.task != nil && s.task.Status == task.Status_CREATED:
		return r.startTask(ctx, l, s)
	case s.task != nil:
		// It was killed before it was started.
		if err := r.deleteTask(ctx, id); err != nil {
			return pod.Container{}, err
		}
	}
	// Nothing of it ran. What it was planned with may have changed since, such
	// as the sandbox after a reboot.
	updated, err := r.client.ContainerService().Update(ctx, l.container, "spec", "labels", "extensions", "image", "snapshotkey")
	if err != nil {
		return pod.Container{}, failed("make container", id, err)
	}
	return r.launch(ctx, l, see(updated, nil))
}

// launch takes a container that has a record and no task to a process.
func (r *Runtime) launch(ctx context.Context, l *launch, s sight) (pod.Container, error) {
	id := l.container.ID
	var rootfs []mount.Mount
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.keepExitCode(gctx, id) })
	g.Go(func() (err error) { rootfs, err = r.snapshot(gctx, l); return err })
	g.Go(func() error { return r.prepareFiles(id, &l.record) })
	g.Go(func() error { return r.makeWay(gctx, l.record.UID) })
	if err := g.Wait(); err != nil {
		return pod.Container{}, fmt.Errorf("start container %q: %w", id, err)
	}
	uri := r.loggerURI(&l.record)
	q := &tasks.CreateTaskRequest{ContainerID: id, Terminal: l.terminal, Stdout: uri, Rootfs: mountsOf(rootfs)}
	if !l.terminal {
		q.Stderr = uri
	}
	t, err := r.createTask(ctx, q)
	r.noteShim(l.record.UID, err == nil)
	if message, ok := startFailure(err); ok {
		return r.deadOnArrival(ctx, s, message)
	}
	if isAlreadyExists(err) {
		return r.startFound(ctx, l)
	}
	if err != nil {
		return pod.Container{}, failed("make the task of container", id, err)
	}
	s.task = &task.Process{ID: id, Pid: t.Pid, Status: task.Status_CREATED}
	return r.startTask(ctx, l, s)
}

// startFound starts a task that an earlier try has made meanwhile. One that
// was killed on the way must not be taken for a run: the next try removes it.
func (r *Runtime) startFound(ctx context.Context, l *launch) (pod.Container, error) {
	id := l.container.ID
	s, ok, err := r.look(ctx, id)
	if err != nil {
		return pod.Container{}, err
	}
	if !ok || s.task == nil || s.task.Status != task.Status_CREATED {
		return pod.Container{}, fmt.Errorf("start container %q: an earlier try of it came in between", id)
	}
	return r.startTask(ctx, l, s)
}

// startTask starts a created task. That it is to be started is recorded before:
// an exited task without that record never ran. While there is a task, the
// task tells whether it really was.
func (r *Runtime) startTask(ctx context.Context, l *launch, s sight) (pod.Container, error) {
	id := l.container.ID
	s, err := r.withStarted(ctx, s)
	if err != nil {
		return pod.Container{}, err
	}
	started, startErr := r.client.TaskService().Start(ctx, &tasks.StartRequest{ContainerID: id})
	if message, ok := startFailure(startErr); ok {
		return r.deadOnArrival(ctx, s, message)
	}
	if startErr != nil {
		if now, ok, err := r.look(ctx, id); err == nil && ok && (now.state == pod.StateRunning || now.state == pod.StateExited) {
			return r.container(now), nil
		}
		return pod.Container{}, failed("start the task of container", id, startErr)
	}
	s.task = &task.Process{ID: id, Pid: started.Pid, Status: task.Status_RUNNING}
	s.state = pod.StateRunning
	return r.container(s), nil
}

// noteStarted records a start of which only the record is missing.
func (r *Runtime) noteStarted(ctx context.Context, s sight) (pod.Container, error) {
	s, err := r.withStarted(ctx, s)
	if err != nil {
		return pod.Container{}, err
	}
	return r.container(s), nil
}

func (r *Runtime) withStarted(ctx context.Context, s sight) (sight, error) {
	at := stamp{Stamp: r.now(), Boot: r.cfg.BootID}
	if err := r.write(ctx, s.container.ID, partStarted, at); err != nil {
		return s, failed("record the start of container", s.container.ID, err)
	}
	s.started = &at
	return s, nil
}

// deadOnArrival records that the process can't be started and takes away what
// was made for it.
func (r *Runtime) deadOnArrival(ctx context.Context, s sight, message string) (pod.Container, error) {
	now := r.now()
	if len(message) > maxMessage {
		message = message[:maxMessage]
	}
	s.ending = &ending{
		Exit:  pod.Exit{Code: startCode, Reason: pod.ExitStartError, Message: message, At: now},
		Boot:  r.cfg.BootID,
		Final: true,
	}
	if err := r.write(ctx, s.container.ID, partExit, s.ending); err != nil {
		return pod.Container{}, failed("record the failed start of container", s.container.ID, err)
	}
	if err := r.deleteTask(ctx, s.container.ID); err != nil {
		return pod.Container{}, err
	}
	s.task, s.state = nil, pod.StateDead
	return r.container(s), nil
}

// keepExitCode gives containerd a sandbox by the container's id. Without it
// containerd 2.1 and later delete exited tasks, exit codes and all, at their
// own start. Older ones have no such service and need none.
func (r *Runtime) keepExitCode(ctx context.Context, id string) error {
	_, err := r.client.SandboxStore().Create(ctx, sandbox.Sandbox{
		ID:        id,
		Runtime:   sandbox.RuntimeOpts{Name: runtimeName},
		Sandboxer: "shim",
		Labels:    map[string]string{labelNode: r.cfg.NodeID},
	})
	if err == nil || isAlreadyExists(err) || isNotImplemented(err) {
		return nil
	}
	return failed("make the sandbox record of container", id, err)
}

// snapshot makes the container's writable layer or finds it made. The record
// refers to it, so it is not collected.
func (r *Runtime) snapshot(ctx context.Context, l *launch) ([]mount.Mount, error) {
	if l.chainID == "" {
		return nil, nil
	}
	s := r.client.SnapshotService(r.cfg.Snapshotter)
	mounts, err := s.Prepare(ctx, l.container.SnapshotKey, l.chainID)
	if isAlreadyExists(err) {
		mounts, err = s.Mounts(ctx, l.container.SnapshotKey)
	}
	switch {
	case isNotFound(err):
		return nil, fmt.Errorf("make a snapshot of image %q: %w: %w", l.record.Image.Ref, pod.ErrImageGone, err)
	case err != nil:
		return nil, failed("make a snapshot of image", l.record.Image.Ref, err)
	}
	return mounts, nil
}

func mountsOf(list []mount.Mount) []*types.Mount {
	out := make([]*types.Mount, len(list))
	for i, m := range list {
		out[i] = &types.Mount{Type: m.Type, Source: m.Source, Target: m.Target, Options: m.Options}
	}
	return out
}

// runtimeInfo selects the OCI runtime and its private folder.
func (r *Runtime) runtimeInfo() (containers.RuntimeInfo, error) {
	opts, err := typeurl.MarshalAny(&options.Options{BinaryName: r.cfg.RuncBinary, Root: r.cfg.RuncRoot})
	if err != nil {
		return containers.RuntimeInfo{}, fmt.Errorf("encode options of %s: %w", runtimeName, err)
	}
	return containers.RuntimeInfo{Name: runtimeName, Options: opts}, nil
}

// newRecord is what is written down about a run before it is made.
func (r *Runtime) newRecord(q *pod.StartRequest, stopSignal string) record {
	rec := record{
		Instance: q.Instance, UID: q.UID, Name: q.Name, Role: q.Role,
		Attempt: q.Attempt, Failures: q.Failures, Sandbox: q.Sandbox.ID,
		Image: q.Image, CgroupPath: q.CgroupPath, StopSignal: stopSignal,
		Created: stamp{Stamp: r.now(), Boot: r.cfg.BootID},
	}
	if q.Role == pod.RolePause {
		return rec
	}
	rec.LogPath = r.logPath(q)
	if q.Sandbox.FilesDir != "" {
		base := filepath.Join(q.Sandbox.FilesDir, q.Name+"."+strconv.Itoa(q.Attempt))
		rec.StatusPath, rec.MessagePath = base+".logger", base+".message"
	}
	return rec
}

// errNoRequest is a request that lacks what every request has.
var errNoRequest = errors.New("the request has no id, no pod or no cgroup path")
