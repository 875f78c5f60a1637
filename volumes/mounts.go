package volumes

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// Mounts resolves the mounts of one container, in the order of the manifest.
// A sub path is resolved once, now, below its volume, and bound to a private
// place from where the container is to bind it, so that nobody can redirect
// it between the check and the use. Missing folders of it are made. The
// result of an earlier call for the same container may no longer be used.
func (v *Volumes) Mounts(ctx context.Context, uid types.UID, p *corev1.Pod, container string) ([]pod.Mount, error) {
	dir, err := v.podDir(uid)
	if err != nil {
		return nil, err
	}
	c := pod.ContainerSpec(p, container)
	if c == nil {
		return nil, fmt.Errorf("mounts of pod %s: it has no container %q", uid, container)
	}
	if err := plainName("container", container); err != nil {
		return nil, err
	}
	out := make([]pod.Mount, 0, len(c.VolumeMounts))
	for i := range c.VolumeMounts {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("mounts of container %q: %w", container, err)
		}
		vm := &c.VolumeMounts[i]
		m, err := resolve(dir, p, c, vm, filepath.Join(dir, mountsFolder, container, strconv.Itoa(i)), uid)
		if err != nil {
			return nil, fmt.Errorf("container %q: mount of volume %q at %s: %w", container, vm.Name, vm.MountPath, err)
		}
		out = append(out, m)
	}
	return out, nil
}

func resolve(dir string, p *corev1.Pod, c *corev1.Container, vm *corev1.VolumeMount, private string, uid types.UID) (pod.Mount, error) {
	m := pod.Mount{Target: vm.MountPath, ReadOnly: vm.ReadOnly}
	var err error
	if m.Propagation, err = propagation(vm); err != nil {
		return m, err
	}
	if m.RecursiveReadOnly, err = recursiveReadOnly(vm); err != nil {
		return m, err
	}
	if m.Source, err = source(dir, p, vm.Name); err != nil {
		return m, err
	}
	sub, err := subPath(p, c, vm, uid)
	if err != nil || sub == "" {
		return m, err
	}
	if err := bindBelow(m.Source, sub, private); err != nil {
		return m, err
	}
	m.Source = private
	return m, nil
}

// source returns where a volume is on the host.
func source(dir string, p *corev1.Pod, volume string) (string, error) {
	for i := range p.Spec.Volumes {
		vol := &p.Spec.Volumes[i]
		switch {
		case vol.Name != volume:
		case vol.HostPath != nil:
			return filepath.Clean(vol.HostPath.Path), nil
		default:
			return filepath.Join(dir, volumesFolder, volume), nil
		}
	}
	return "", refuse("CreateContainerConfigError", "the pod has no volume %q; the container waits", volume)
}

func propagation(vm *corev1.VolumeMount) (string, error) {
	mode := corev1.MountPropagationNone
	if vm.MountPropagation != nil {
		mode = *vm.MountPropagation
	}
	switch mode {
	case corev1.MountPropagationNone:
		return "private", nil
	case corev1.MountPropagationHostToContainer:
		return "rslave", nil
	case corev1.MountPropagationBidirectional:
		return "rshared", nil
	default:
		return "", refuse("CreateContainerConfigError",
			"mountPropagation %q, want None, HostToContainer or Bidirectional; the container waits", mode)
	}
}

func recursiveReadOnly(vm *corev1.VolumeMount) (bool, error) {
	mode := corev1.RecursiveReadOnlyDisabled
	if vm.RecursiveReadOnly != nil {
		mode = *vm.RecursiveReadOnly
	}
	if mode == corev1.RecursiveReadOnlyDisabled || !vm.ReadOnly {
		return false, nil
	}
	can := canRecurse()
	if !can && mode == corev1.RecursiveReadOnlyEnabled {
		return false, refuse("CreateContainerConfigError",
			"recursiveReadOnly is Enabled, but this kernel can't make sub mounts read-only (it needs 5.12); the container waits")
	}
	return can, nil
}

// canRecurse tells whether the kernel has mount_setattr, which old ones
// refuse before they look at the descriptor.
func canRecurse() bool {
	err := unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	return !errors.Is(err, unix.ENOSYS)
}
