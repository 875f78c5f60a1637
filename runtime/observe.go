package runtime

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"

	"github.com/podstead/podstead/pod"
)

// sight is one container as containerd showed it.
type sight struct {
	container containers.Container
	record    record
	// readable tells that record was read and not guessed from labels.
	readable bool
	started  *stamp
	ending   *ending
	// task is nil when there is none.
	task  *task.Process
	state pod.ContainerState
}

// List implements agent.Containers. It takes two calls to containerd, however
// many containers there are.
func (r *Runtime) List(ctx context.Context) ([]pod.Container, error) {
	ctx = r.scope(ctx)
	// Containers first: a task that is missing from the later list can't be
	// one that has only just been made.
	found, err := r.client.ContainerService().List(ctx, fmt.Sprintf("labels.%q==%s", labelNode, strconv.Quote(r.cfg.NodeID)))
	if err != nil {
		return nil, failed("list containers of namespace", r.cfg.Namespace, err)
	}
	running, err := r.client.TaskService().List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return nil, failed("list tasks of namespace", r.cfg.Namespace, err)
	}
	byID := make(map[string]*task.Process, len(running.Tasks))
	for _, t := range running.Tasks {
		byID[t.ID] = t
	}
	list := make([]pod.Container, 0, len(found))
	for i := range found {
		list = append(list, r.container(see(found[i], byID[found[i].ID])))
	}
	return list, nil
}

// Observe implements agent.Containers.
func (r *Runtime) Observe(ctx context.Context, id string) (pod.Container, bool, error) {
	s, ok, err := r.look(r.scope(ctx), id)
	if err != nil || !ok {
		return pod.Container{}, false, err
	}
	return r.container(s), true, nil
}

// look reads a container and its task. ok is false when there is no container
// of ours by that id.
func (r *Runtime) look(ctx context.Context, id string) (s sight, ok bool, err error) {
	c, err := r.client.ContainerService().Get(ctx, id)
	if isNotFound(err) || err == nil && c.Labels[labelNode] != r.cfg.NodeID {
		return sight{}, false, nil
	}
	if err != nil {
		return sight{}, false, failed("read container", id, err)
	}
	t, err := r.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: id})
	if isNotFound(err) {
		return see(c, nil), true, nil
	}
	if err != nil {
		return sight{}, false, failed("read task of container", id, err)
	}
	return see(c, t.Process), true, nil
}

// see puts together what containerd said of one container.
func see(c containers.Container, t *task.Process) sight {
	s := sight{container: c, task: t, readable: true}
	if !decodePart(&c, partRecord, &s.record) {
		s.record, s.readable = fromLabels(c.Labels), false
	}
	var started stamp
	if decodePart(&c, partStarted, &started) {
		s.started = &started
	}
	var end ending
	if decodePart(&c, partExit, &end) {
		s.ending = &end
	}
	s.state = stateOf(s)
	return s
}

// stateOf derives the state, which is stored nowhere and so contradicts
// nothing.
func stateOf(s sight) pod.ContainerState {
	if s.task == nil {
		switch {
		case s.ending != nil && s.ending.Final:
			return pod.StateDead
		case s.ending != nil || s.started != nil:
			// Without an ending its exit code is lost, by a reboot or with
			// its shim.
			return pod.StateExited
		default:
			return pod.StateCreated
		}
	}
	switch s.task.Status {
	case task.Status_CREATED:
		if s.begun() {
			return pod.StateExited
		}
		return pod.StateCreated
	case task.Status_RUNNING, task.Status_PAUSED, task.Status_PAUSING:
		return pod.StateRunning
	case task.Status_STOPPED:
		if s.started == nil && s.ending == nil {
			// containerd kills what it was making when the caller dies.
			return pod.StateCreated
		}
		return pod.StateExited
	default:
		return pod.StateUnknown
	}
}

// begun tells of a task that is shown as created and whose process has begun
// all the same: a shim whose containerd or podstead is killed meanwhile may let
// it go and not notice. Such a task can be neither started nor used, so it is
// ended and counted as a run.
func (s sight) begun() bool {
	if s.task == nil || s.task.Status != task.Status_CREATED || s.started == nil {
		return false
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", s.task.Pid))
	return err == nil && !slices.ContainsFunc(launchers, func(launcher string) bool { return strings.HasPrefix(string(name), launcher) })
}

// launchers are what a process is called before it becomes the container's
// program: runc:[2:INIT], or crun.
var launchers = []string{"runc", "crun"}

// container is a sight in the words of the domain.
func (r *Runtime) container(s sight) pod.Container {
	rec, boot := s.record, r.cfg.BootID
	c := pod.Container{
		ID: s.container.ID, Instance: rec.Instance, UID: rec.UID,
		Name: rec.Name, Role: rec.Role, Attempt: rec.Attempt, Failures: rec.Failures,
		Sandbox: rec.Sandbox, Image: rec.Image,
		State: s.state, Created: rec.Created.in(boot),
		CgroupPath: rec.CgroupPath, LogPath: rec.LogPath, Layer: s.container.SnapshotKey != "",
	}
	var w wanted
	if s.readable && decodePart(&s.container, partPod, &w) {
		c.Pod, c.Origin = w.Pod, w.Origin
	}
	if s.started != nil {
		c.Started = s.started.in(boot)
	}
	var stop stopping
	if decodePart(&s.container, partStopping, &stop) {
		stop.Since = stamp{stop.Since, stop.Boot}.in(boot)
		stop.Signalled = stamp{stop.Signalled, stop.Boot}.in(boot)
		c.Stopping = &stop.Stopping
	}
	if s.ending != nil {
		exit := s.ending.Exit
		exit.At = stamp{exit.At, s.ending.Boot}.in(boot)
		c.Exit = &exit
	}
	if s.task != nil && s.state == pod.StateRunning {
		c.PID = int(s.task.Pid)
	}
	if s.state == pod.StateRunning || s.state == pod.StateDead {
		c.Logger = loggerTrouble(&rec)
	}
	return c
}
