package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"

	"github.com/podstead/podstead/internal/mounts"
)

// errHalfMade is a task that can be neither found nor made.
var errHalfMade = errors.New("containerd still holds what was half made of it")

// createTask makes a task or finds it made. What a containerd that was killed
// left of its first try is taken away.
func (r *Runtime) createTask(ctx context.Context, q *tasks.CreateTaskRequest) (*tasks.CreateTaskResponse, error) {
	t, err := r.client.TaskService().Create(ctx, q)
	left, blocked := r.deadBundle(q.ContainerID, err)
	remove := removeBundle
	if isKnownToRunc(err) {
		left, blocked, remove = r.runcState(q.ContainerID), true, r.removeFromRunc
	}
	if !isAlreadyExists(err) && !blocked {
		return t, err
	}
	if _, missing := r.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: q.ContainerID}); !isNotFound(missing) {
		return nil, err
	}
	if blocked && !r.atRest(left) {
		return nil, err
	}
	if blocked {
		err = remove(ctx, left)
	} else {
		// A registered shim that holds no container.
		err = r.deleteTask(ctx, q.ContainerID)
	}
	if err != nil {
		return nil, err
	}
	t, err = r.client.TaskService().Create(ctx, q)
	if isAlreadyExists(err) {
		return nil, errHalfMade
	}
	return t, err
}

// deadBundle finds in containerd's error the folder that keeps it from making
// a container's task. containerd takes such a folder away by renaming it, and
// is stuck for good once it was killed while it removed a renamed one.
func (r *Runtime) deadBundle(id string, err error) (dir string, ok bool) {
	if err == nil {
		return "", false
	}
	_, rest, _ := strings.Cut(err.Error(), "mkdir ")
	dir, _, ok = strings.Cut(rest, ": file exists")
	own := filepath.Join("/io.containerd.runtime.v2.task", r.cfg.Namespace, id)
	return dir, ok && filepath.IsAbs(dir) && filepath.Clean(dir) == dir && strings.HasSuffix(dir, own)
}

// bundleRest is how long a bundle is left alone: containerd may still be at
// work on what a caller that died has asked for.
const bundleRest = 3 * time.Second

// atRest tells whether nobody has changed a bundle for a while.
func (r *Runtime) atRest(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir() && r.now().Wall.Sub(info.ModTime()) >= bundleRest
}

// removeBundle removes a bundle and what is left of one that was renamed.
func removeBundle(ctx context.Context, dir string) error {
	for _, path := range []string{filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)), dir} {
		if err := mounts.RemoveAll(ctx, path); err != nil {
			return fmt.Errorf("remove what containerd left of a task: %w", err)
		}
	}
	return nil
}

// isKnownToRunc tells of an error by runc, or crun, that it has a container of
// that id already: the creation of a task that took too long was given up while
// it made it.
func isKnownToRunc(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "OCI runtime create failed") &&
		(strings.Contains(text, "container with given ID already exists") || strings.Contains(text, "` already exists"))
}

// runcState is where runc, or crun, keeps what it knows of a container.
func (r *Runtime) runcState(id string) string {
	root := r.cfg.RuncRoot
	if root == "" {
		root = "/run/containerd/runc" // as the shim has it
	}
	return filepath.Join(root, r.cfg.Namespace, id)
}

// removeFromRunc lets runc remove a container of which containerd has no task.
func (r *Runtime) removeFromRunc(ctx context.Context, state string) error {
	binary := cmp.Or(r.cfg.RuncBinary, "runc")
	out, err := exec.CommandContext(ctx, binary, "--root", filepath.Dir(state), "delete", "--force", filepath.Base(state)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("remove a half made container: %s delete: %w: %s", binary, err, out)
	}
	return nil
}
