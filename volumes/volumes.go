// Package volumes makes what pods mount: folders on disk and in memory that
// live as long as the pod, and folders and files of the host. What a
// container can write is never trusted: paths in it are resolved by
// descriptor, and it is deleted without following links or crossing mounts.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/mounts"
	"github.com/podstead/podstead/pod"
)

// Config says where volumes are kept.
type Config struct {
	// Dir holds a folder per pod; "/var/lib/podstead/volumes" if empty. It
	// must be on a disk: what is in it survives a reboot.
	Dir string
	// MemoryAllocatable bounds volumes in memory, in bytes; no bound if 0.
	MemoryAllocatable int64
}

// Volumes makes, resolves and removes the volumes of pods. Its methods may be
// called at the same time for different pods.
type Volumes struct {
	cfg Config
}

// New changes nothing on the host.
func New(cfg Config) (*Volumes, error) {
	if cfg.Dir == "" {
		cfg.Dir = "/var/lib/podstead/volumes"
	}
	if !filepath.IsAbs(cfg.Dir) || filepath.Clean(cfg.Dir) == "/" {
		return nil, fmt.Errorf("volumes: folder %q: want an absolute path other than /", cfg.Dir)
	}
	if cfg.MemoryAllocatable <= 0 {
		cfg.MemoryAllocatable = math.MaxInt64
	}
	return &Volumes{cfg: cfg}, nil
}

// Names of the folders in a pod's folder.
const (
	volumesFolder = "volumes"
	mountsFolder  = "mounts"
)

// failedMount is the reason of volumes that can't be had, as the kubelet
// reports it.
const failedMount = "FailedMount"

// Prepare makes the pod's volumes or finds them made, and checks the types
// of its hostPath volumes. *pod.Refused says what can't be had on this host
// now, all of it at once.
func (v *Volumes) Prepare(ctx context.Context, uid types.UID, p *corev1.Pod) error {
	dir, err := v.podDir(uid)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, volumesFolder), 0o700); err != nil {
		return fmt.Errorf("volumes of pod %s: %w", uid, err)
	}
	var refused []string
	for i := range p.Spec.Volumes {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("volumes of pod %s: %w", uid, err)
		}
		vol := &p.Spec.Volumes[i]
		err := v.prepare(dir, p, vol)
		if r := (*pod.Refused)(nil); errors.As(err, &r) {
			refused = append(refused, r.Message)
			continue
		}
		if err != nil {
			return fmt.Errorf("volume %q of pod %s: %w", vol.Name, uid, err)
		}
	}
	if len(refused) > 0 {
		return &pod.Refused{Reason: failedMount, Message: strings.Join(refused, "; ")}
	}
	return nil
}

func (v *Volumes) prepare(dir string, p *corev1.Pod, vol *corev1.Volume) error {
	if err := plainName("volume", vol.Name); err != nil {
		return err
	}
	switch {
	case vol.HostPath != nil:
		return checkHostPath(vol.Name, vol.HostPath)
	case vol.EmptyDir != nil && vol.EmptyDir.Medium == corev1.StorageMediumDefault:
		return makeOnDisk(filepath.Join(dir, volumesFolder), vol.Name, fsGroup(p))
	case vol.EmptyDir != nil && vol.EmptyDir.Medium == corev1.StorageMediumMemory:
		return makeInMemory(filepath.Join(dir, volumesFolder, vol.Name), v.memorySize(p, vol.EmptyDir), fsGroup(p))
	case vol.EmptyDir != nil:
		return refuse(failedMount, "volume %q: emptyDir medium %q is not supported, want \"\" or Memory; the pod waits", vol.Name, vol.EmptyDir.Medium)
	default:
		return refuse(failedMount, "volume %q: only emptyDir and hostPath volumes are supported; the pod waits", vol.Name)
	}
}

// Remove unmounts and deletes what the pod's volumes are made of; never
// anything below a hostPath. A pod without volumes is no error. A mount that
// is in use is an error that names it, and is to be tried again.
func (v *Volumes) Remove(ctx context.Context, uid types.UID) error {
	dir, err := v.podDir(uid)
	if err != nil {
		return err
	}
	if err := mounts.RemoveAll(ctx, dir); err != nil {
		return fmt.Errorf("volumes of pod %s: %w", uid, err)
	}
	return nil
}

// List returns the UIDs of all pods that have volumes here, sorted.
func (v *Volumes) List(context.Context) ([]types.UID, error) {
	entries, err := os.ReadDir(v.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	uids := make([]types.UID, 0, len(entries))
	for _, e := range entries {
		uids = append(uids, types.UID(e.Name()))
	}
	slices.Sort(uids)
	return uids, nil
}

func (v *Volumes) podDir(uid types.UID) (string, error) {
	if err := plainName("pod", string(uid)); err != nil {
		return "", err
	}
	return filepath.Join(v.cfg.Dir, string(uid)), nil
}

// plainName checks that a name stays one element of a path.
func plainName(kind, name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%s %q: want a name that can be a file name", kind, name)
	}
	return nil
}

func refuse(reason, format string, args ...any) error {
	return &pod.Refused{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
