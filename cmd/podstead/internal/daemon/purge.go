package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/cmd/podstead/internal/state"
	"github.com/podstead/podstead/internal/mounts"
	"github.com/podstead/podstead/internal/ownfile"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime"
)

// Purge drains, as Drain does, and then removes everything that podstead keeps
// on this server: state, images, volumes of pods, logs and what the kernel
// holds of it. The configuration, manifests and hostPath data stay, and so do
// files and disks of others in podstead's folders, which tell names. It can be repeated.
func Purge(ctx context.Context, o Options, tell func(string)) error {
	d, closing, err := offline(o)
	if err != nil {
		return err
	}
	defer closing()
	if err := d.while(ctx, func(ctx context.Context) error { return d.stopForGood(ctx, tell) }); err != nil {
		return err
	}
	if err := errors.Join(d.sweep(ctx), d.leaveNothing(), unloadAppArmor()); err != nil {
		return err
	}
	return removeFiles(ctx, d.config.running(), tell)
}

// stopForGood stops every pod, and leaves nothing in a containerd that stays.
// Where no pod lives a containerd that is broken, or gone already, hinders
// nothing.
func (d *daemon) stopForGood(ctx context.Context, tell func(string)) error {
	err := d.stopPods(ctx, tell)
	if errors.Is(err, errNoAnswer) {
		live, failed := d.cgroups.List(ctx)
		if failed != nil || len(live) > 0 {
			return errors.Join(err, failed)
		}
		tell(err.Error() + ", as no pod lives")
		return nil
	}
	if err != nil || d.containerd != nil {
		return err
	}
	return d.runtime.RemoveNamespace(ctx)
}

// sweep removes what is left of pods that no container tells of any more.
func (d *daemon) sweep(ctx context.Context) error {
	var failed []error
	for _, kind := range []struct {
		list   func(context.Context) ([]types.UID, error)
		remove func(context.Context, types.UID) error
	}{
		{d.cgroups.List, d.cgroups.Remove},
		{d.volumes.List, d.volumes.Remove},
		{d.network.List, d.network.Remove},
	} {
		uids, err := kind.list(ctx)
		failed = append(failed, err)
		for _, uid := range uids {
			failed = append(failed, kind.remove(ctx, uid))
		}
	}
	return errors.Join(append(failed, d.sweepLogs(ctx))...)
}

// sweepLogs removes the logs of pods that no container tells of any more, and
// not those of others who keep logs in the same folder.
func (d *daemon) sweepLogs(ctx context.Context) error {
	cfg := d.config.running()
	kept := podLogs{cfg.LogDir, cfg.ContainerLogsDir}
	id, _, err := state.NodeID(cfg.StateDir, machineIDFile)
	if err != nil {
		return err
	}
	// Without a history none is known to be ours.
	history, _ := state.NewHistory(filepath.Join(cfg.StateDir, historyFile)).Load()
	folders, err := kept.List(ctx)
	failed := []error{err}
	for _, i := range plan.OwnLogs(id, folders, history) {
		failed = append(failed, kept.Remove(ctx, i, pod.UID(id, i)))
	}
	return errors.Join(failed...)
}

// removeFiles removes podstead's files and the folders that are empty then.
func removeFiles(ctx context.Context, cfg *config.Configuration, tell func(string)) error {
	failed := []error{os.RemoveAll(cfg.Socket)}
	if cfg.Runtime.Mode == config.ModeOwn {
		failed = append(failed, remove(ctx, cfg.Runtime.State), remove(ctx, cfg.Runtime.Root))
	}
	for _, folder := range []struct {
		path  string
		names []string
	}{{cfg.RunDir, runNames}, {cfg.StateDir, stateNames}} {
		left, err := removeNames(ctx, folder.path, folder.names)
		failed = append(failed, err)
		if len(left) > 0 {
			tell("left in " + folder.path + ", made or mounted by others: " + strings.Join(left, ", "))
		}
	}
	// Others may keep logs and shims there too.
	for _, dir := range []string{cfg.LogDir, cfg.ContainerLogsDir, runtime.ShimSockets, filepath.Dir(runtime.ShimSockets)} {
		_, err := removeNames(ctx, dir, nil)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// removeNames removes what has one of the names in a folder, and the folder if
// nothing else is in it; otherwise it returns what is left.
func removeNames(ctx context.Context, dir string, names []string) (left []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("clear folder: %w", err)
	}
	var failed []error
	for _, e := range entries {
		if !slices.ContainsFunc(names, func(name string) bool { return isOf(e.Name(), name) }) {
			left = append(left, e.Name())
			continue
		}
		failed = append(failed, remove(ctx, filepath.Join(dir, e.Name())))
	}
	if err := errors.Join(failed...); err != nil || len(left) > 0 {
		return left, err
	}
	return nil, removeEmpty(dir)
}

// isOf tells whether a file is the named one, one like it that was put aside,
// or one that was to replace it.
func isOf(file, name string) bool {
	return file == name || strings.HasPrefix(file, name+ownfile.Mark) || strings.HasPrefix(file, "."+name)
}

// remove deletes a file or a folder with all that is mounted below. A disk
// that was mounted right there is emptied and stays mounted.
func remove(ctx context.Context, path string) error {
	points, err := mounts.Below(path)
	if err != nil {
		return err
	}
	if !slices.Contains(points, path) {
		return mounts.RemoveAll(ctx, path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("clear disk: %w", err)
	}
	var failed []error
	for _, e := range entries {
		// What a file system brings along can't be deleted.
		if e.Name() != "lost+found" {
			failed = append(failed, mounts.RemoveAll(ctx, filepath.Join(path, e.Name())))
		}
	}
	return errors.Join(failed...)
}

// removeEmpty removes a folder that has become empty. One on which a disk is
// mounted stays.
func removeEmpty(dir string) error {
	err := os.Remove(dir)
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
