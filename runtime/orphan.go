package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/prometheus/procfs"
	"k8s.io/apimachinery/pkg/types"
)

// makeWay ends a shim that nobody knows before the first task of a pod is
// made. A containerd that was killed while it started a shim leaves one that
// listens and never answers: it waits for a reader of its log. The next
// containerd would join the pod's tasks to it and hang.
func (r *Runtime) makeWay(ctx context.Context, uid types.UID) error {
	if _, err := os.Lstat(r.socketPath(uid)); err != nil || r.isSound(uid) {
		return ignoreMissing(err)
	}
	siblings, err := r.siblings(ctx, uid)
	if err != nil {
		return err
	}
	for _, c := range siblings {
		_, err := r.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: c.ID})
		if err == nil {
			return nil
		}
		if !isNotFound(err) {
			return failed("read task of container", c.ID, err)
		}
	}
	return r.endShim(ctx, uid)
}

// isSound tells whether the last task of a pod was made by a shim that
// answered.
func (r *Runtime) isSound(uid types.UID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sound[uid]
}

// noteShim keeps in mind whether a pod's shim answered.
func (r *Runtime) noteShim(uid types.UID, sound bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sound {
		r.sound[uid] = true
	} else {
		delete(r.sound, uid)
	}
}

// siblings lists the containers of a pod.
func (r *Runtime) siblings(ctx context.Context, uid types.UID) ([]containers.Container, error) {
	list, err := r.client.ContainerService().List(ctx, fmt.Sprintf("labels.%q==%s", labelUID, strconv.Quote(string(uid))))
	if err != nil {
		return nil, failed("list the containers of pod", string(uid), err)
	}
	return list, nil
}

// endShim waits a little for the shim of a pod to end, kills one that does
// not, and removes its socket.
func (r *Runtime) endShim(ctx context.Context, uid types.UID) error {
	path := r.socketPath(uid)
	if !r.silent(ctx, path) {
		if err := r.killListeners(path); err != nil {
			return fmt.Errorf("kill the shim that nobody knows at %s: %w", path, err)
		}
		if !r.silent(ctx, path) {
			return fmt.Errorf("a shim that nobody knows listens at %s and does not end", path)
		}
	}
	return ignoreMissing(os.Remove(path))
}

// silent waits for a while until nobody listens at a socket.
func (r *Runtime) silent(ctx context.Context, path string) bool {
	ctx, cancel := context.WithTimeout(ctx, shimEnd)
	defer cancel()
	for listens(path) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(shimPause):
		}
	}
	return true
}

// killListeners kills our shims that have a socket open.
func (r *Runtime) killListeners(path string) error {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return err
	}
	open, err := proc.NetUNIX()
	if err != nil {
		return err
	}
	var sockets []string
	for _, s := range open.Rows {
		if s.Path == path {
			sockets = append(sockets, fmt.Sprintf("socket:[%d]", s.Inode))
		}
	}
	all, err := proc.AllProcs()
	if err != nil {
		return err
	}
	var failures []error
	for _, p := range all {
		failures = append(failures, r.killHolder(p, sockets))
	}
	return errors.Join(failures...)
}

// killHolder kills a process if it is a shim of ours that holds one of the
// sockets. The handle is taken first: a number may be used again.
func (r *Runtime) killHolder(p procfs.Proc, sockets []string) error {
	handle, err := os.FindProcess(p.PID)
	if err != nil {
		return err
	}
	defer func() { _ = handle.Release() }()
	args, err := p.CmdLine()
	if err != nil || len(args) == 0 || !strings.HasPrefix(filepath.Base(args[0]), "containerd-shim-") {
		return nil // it has ended, or is no shim
	}
	held, err := p.FileDescriptorTargets()
	if err != nil || !slices.ContainsFunc(held, func(fd string) bool { return slices.Contains(sockets, fd) }) {
		return nil
	}
	if err := handle.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("process %d: %w", p.PID, err)
	}
	return nil
}
