package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// Remove ends every process that is left in the pod's cgroup and removes it
// from every hierarchy, in whichever tier it is. A cgroup that is not there
// is no error. Processes that don't die within about a second (or ctx) are
// named in the error; it is to be called again.
func (m *Manager) Remove(ctx context.Context, uid types.UID) error {
	paths, err := m.paths(uid)
	if err != nil {
		return err
	}
	var failed []error
	for _, at := range paths {
		if !m.present(at) {
			continue
		}
		if err := m.kill(ctx, at); err != nil {
			failed = append(failed, fmt.Errorf("remove cgroup %s: %w", at, err))
			continue
		}
		for _, mount := range m.layout.all {
			if err := removeTree(ctx, filepath.Join(mount, at)); err != nil {
				failed = append(failed, fmt.Errorf("remove cgroup: %w", err))
			}
		}
	}
	return errors.Join(append(failed, m.weighTiers())...)
}

func (m *Manager) present(at string) bool {
	return slices.ContainsFunc(m.layout.all, func(mount string) bool { return exists(filepath.Join(mount, at)) })
}

// removeTree removes an empty cgroup and those below it, deepest first. The
// kernel may need a moment after the last process ended.
func removeTree(ctx context.Context, dir string) error {
	names, err := children(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := removeTree(ctx, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for range 20 {
		err = unix.Rmdir(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || ctx.Err() != nil {
			break
		}
		pause()
	}
	return &os.PathError{Op: "rmdir", Path: dir, Err: err}
}

// pause gives the kernel ten milliseconds.
func pause() { _, _ = unix.Poll(nil, 10) }

// List returns the UIDs of all pods that have a cgroup in any hierarchy.
func (m *Manager) List(context.Context) ([]types.UID, error) {
	paths, err := m.podPaths()
	if err != nil {
		return nil, err
	}
	seen := map[types.UID]bool{}
	for _, at := range paths {
		seen[types.UID(strings.TrimPrefix(path.Base(at), podPrefix))] = true
	}
	uids := make([]types.UID, 0, len(seen))
	for uid := range seen {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return uids, nil
}

// RemoveRoot removes our tree when no pod is left in it. Pods in it are an
// error and stay.
func (m *Manager) RemoveRoot(ctx context.Context) error {
	uids, err := m.List(ctx)
	if err != nil {
		return err
	}
	if len(uids) > 0 {
		return fmt.Errorf("remove cgroup %s: it holds %d pods, the first is %s", m.cfg.Root, len(uids), uids[0])
	}
	var failed []error
	for _, mount := range m.layout.all {
		for _, at := range []string{path.Join(m.cfg.Root, burstableTier), path.Join(m.cfg.Root, bestEffortTier), m.cfg.Root} {
			err := unix.Rmdir(filepath.Join(mount, at))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = append(failed, &os.PathError{Op: "rmdir", Path: filepath.Join(mount, at), Err: err})
			}
		}
	}
	return errors.Join(failed...)
}

// podPaths returns the paths of all pods that have a cgroup in any hierarchy.
func (m *Manager) podPaths() ([]string, error) {
	var paths []string
	for _, mount := range m.layout.all {
		for _, tier := range []string{"", burstableTier, bestEffortTier} {
			names, err := children(filepath.Join(mount, m.cfg.Root, tier))
			if err != nil {
				return nil, fmt.Errorf("list cgroups of pods: %w", err)
			}
			for _, name := range names {
				at := path.Join(m.cfg.Root, tier, name)
				if strings.HasPrefix(name, podPrefix) && !slices.Contains(paths, at) {
					paths = append(paths, at)
				}
			}
		}
	}
	return paths, nil
}
