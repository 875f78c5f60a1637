package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/logs"
)

// What is kept of a container's last words; the limits are those of
// Kubernetes for messages and pod.Exit's for the tail.
const (
	maxMessage       = 4096
	maxFallbackLines = 80
	maxFallbackBytes = 2048
	maxTailLines     = 10
	maxTailBytes     = 2048
)

// killedCode is the exit code of a process that SIGKILL ended.
const killedCode = 128 + int(unix.SIGKILL)

// Reap implements agent.Containers. It writes the exit code before the task,
// which holds it, is deleted, and the rest after: only then the logger has
// written all it got. Cut off anywhere, it continues there when called again.
func (r *Runtime) Reap(ctx context.Context, id string) (c pod.Container, err error) {
	err = r.whenFull(func() error {
		c, err = r.reap(r.scope(ctx), id)
		return err
	})
	return c, err
}

func (r *Runtime) reap(ctx context.Context, id string) (pod.Container, error) {
	s, ok, err := r.look(ctx, id)
	if err != nil {
		return pod.Container{}, err
	}
	switch {
	case !ok:
		return pod.Container{}, fmt.Errorf("reap container %q: there is none", id)
	case s.state == pod.StateDead:
		return r.container(s), nil
	case s.state != pod.StateExited:
		return pod.Container{}, fmt.Errorf("reap container %q: it is %s, not %s", id, s.state, pod.StateExited)
	}
	if err := r.settle(ctx, &s); err != nil {
		return pod.Container{}, err
	}
	return r.container(s), nil
}

// settle takes an exited container to its end.
func (r *Runtime) settle(ctx context.Context, s *sight) error {
	id := s.container.ID
	group, err := r.cgroupOf(id, s.record.CgroupPath)
	if err != nil && s.readable {
		return fmt.Errorf("reap: %w", err)
	}
	if s.ending == nil {
		s.ending = r.ended(s, group)
		if err := r.write(ctx, id, partExit, s.ending); err != nil {
			return failed("record the exit of container", id, err)
		}
	}
	if err := group.empty(ctx); err != nil {
		return fmt.Errorf("end the processes of container %q: %w", id, err)
	}
	if err := r.deleteTask(ctx, id); err != nil {
		return err
	}
	last := *s.ending
	r.addLastWords(s, &last.Exit)
	last.Final = true
	if err := r.write(ctx, id, partExit, last); err != nil {
		return failed("record the exit of container", id, err)
	}
	s.ending, s.task, s.state = &last, nil, pod.StateDead
	return nil
}

// ended says how the process of an exited container ended.
func (r *Runtime) ended(s *sight, group cgroup) *ending {
	now := r.now()
	e := &ending{Boot: r.cfg.BootID}
	switch {
	case s.task == nil:
		e.Exit = pod.Exit{
			Code: killedCode, Reason: pod.ExitUnknown, At: now,
			Message: "the container is gone and nobody knows how it ended",
		}
		return e
	case s.begun():
		e.Exit = pod.Exit{
			Code: killedCode, Reason: pod.ExitUnknown, At: now,
			Message: "containerd or podstead ended while it was being started and nobody knows how far it came: it was ended",
		}
		return e
	}
	e.Exit = pod.Exit{Code: int(s.task.ExitStatus), Reason: pod.ExitError, At: exitStamp(s.task, now)}
	if signal := e.Code - 128; signal > 0 && signal < 32 {
		e.Signal = signal
	}
	switch {
	case e.Code == 0:
		e.Reason = pod.ExitCompleted
	case e.Code == killedCode && group.oomKills() > 0 && !outlastedGrace(s, e.At):
		e.Reason = pod.ExitOOMKilled
	}
	return e
}

// outlastedGrace tells of a container that was told to stop and lived on until
// its grace was over: podstead killed it, whatever the kernel did before.
func outlastedGrace(s *sight, ended pod.Stamp) bool {
	var stop stopping
	if !decodePart(&s.container, partStopping, &stop) || stop.Signalled.IsZero() || stop.Grace == 0 {
		return false
	}
	return !ended.Wall.Before(stop.Since.Wall.Add(stop.Grace))
}

// exitStamp turns the wall clock's time of an exit into a stamp.
func exitStamp(t *task.Process, now pod.Stamp) pod.Stamp {
	if t.ExitedAt == nil || t.ExitedAt.AsTime().Unix() <= 0 {
		return now
	}
	at := t.ExitedAt.AsTime()
	// A clock that was set meanwhile must not put an exit into the future.
	ago := max(0, now.Wall.Sub(at))
	return pod.Stamp{Moment: max(0, now.Moment.Add(-ago)), Wall: at}
}

// deleteTask deletes an exited task. The shim ends its logger on the way and
// waits until it has written everything.
func (r *Runtime) deleteTask(ctx context.Context, id string) error {
	_, err := r.client.TaskService().Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: id})
	if err == nil || isNotFound(err) {
		return nil
	}
	// A shim that died in the middle has left nothing to delete.
	if _, again := r.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: id}); isNotFound(again) {
		return nil
	}
	return failed("delete the task of container", id, err)
}

// addLastWords reads the termination message and the end of the log. What
// can't be read is left out: the exit itself matters more.
func (r *Runtime) addLastWords(s *sight, exit *pod.Exit) {
	if s.record.LogPath != "" {
		exit.LogTail, _ = logs.Tail(s.record.LogPath, maxTailLines, maxTailBytes)
	}
	if exit.Message != "" {
		return
	}
	exit.Message = readMessage(s.record.MessagePath)
	if exit.Message != "" || exit.Code == 0 || !fallsBack(s) {
		return
	}
	if tail, err := logs.Tail(s.record.LogPath, maxFallbackLines, maxFallbackBytes); err == nil {
		exit.Message = strings.Join(tail, "\n")
	}
}

// fallsBack tells whether the log stands in for an empty message.
func fallsBack(s *sight) bool {
	var w wanted
	if !decodePart(&s.container, partPod, &w) {
		return false
	}
	c := pod.ContainerSpec(w.Pod, s.record.Name)
	return c != nil && c.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError
}

// readMessage reads a termination message. The file is written by a container:
// what is not an ordinary file is not read.
func readMessage(path string) string {
	if path == "" {
		return ""
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(f, maxMessage))
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// cleanupTimeout bounds what is tidied up after the caller's context ended.
const cleanupTimeout = 10 * time.Second

// afterwards is a context for tidying up that outlives ctx, for a while.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
}

// ignoreMissing turns the absence of a file into success.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
