package validation

import (
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

func (c *checker) mounts(k *corev1.Container, at *field.Path) {
	places := map[string]*field.Path{}
	for i := range k.VolumeMounts {
		m, here := &k.VolumeMounts[i], at.Index(i)
		volume := c.mountedVolume(m, here.Child("name"))
		c.mountPath(m, volume, here.Child("mountPath"), places)
		c.subPath(m, here)
		c.propagation(m, k.SecurityContext, here.Child("mountPropagation"))
		c.recursiveReadOnly(m, here.Child("recursiveReadOnly"))
	}
}

func (c *checker) mountedVolume(m *corev1.VolumeMount, at *field.Path) *corev1.Volume {
	if m.Name == "" {
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: "the name of a volume"})
		return nil
	}
	volumes := c.pod.Spec.Volumes
	i := slices.IndexFunc(volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
	if i < 0 {
		c.refuse(at, pod.ReasonInvalidMount, finding{"names no volume of this pod", quote(m.Name), "a name from spec.volumes"})
		return nil
	}
	return &volumes[i]
}

func (c *checker) mountPath(m *corev1.VolumeMount, volume *corev1.Volume, at *field.Path, places map[string]*field.Path) {
	if m.MountPath == "" {
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: "an absolute path in the container"})
		return
	}
	if !c.absolutePath(at, pod.ReasonInvalidMount, m.MountPath) {
		return
	}
	if reserved(m.MountPath) || hidesSys(m.MountPath, volume) {
		c.refuse(at, pod.ReasonInvalidMount, finding{
			"would hide what the container needs from the kernel", quote(m.MountPath), "a path other than /, /dev, /sys and /proc and all below it"})
	}
	clean := path.Clean(m.MountPath)
	if first, taken := places[clean]; taken {
		c.refuse(at, pod.ReasonInvalidMount, finding{"is taken by " + first.String(), quote(m.MountPath), "a path that no other mount of the container has"})
		return
	}
	places[clean] = at
}

// hidesSys tells whether /sys is covered by anything but the host's own /sys,
// which monitoring programs mount.
func hidesSys(mountPath string, volume *corev1.Volume) bool {
	if path.Clean(mountPath) != "/sys" {
		return false
	}
	return volume == nil || volume.HostPath == nil || path.Clean(volume.HostPath.Path) != "/sys"
}

func (c *checker) subPath(m *corev1.VolumeMount, at *field.Path) {
	if m.SubPath != "" && m.SubPathExpr != "" {
		c.refuse(at.Child("subPathExpr"), pod.ReasonInvalidMount, finding{"stands beside subPath", quote(m.SubPathExpr), "one of the two"})
	}
	c.descendingPath(at.Child("subPath"), pod.ReasonInvalidMount, m.SubPath)
	c.descendingPath(at.Child("subPathExpr"), pod.ReasonInvalidMount, m.SubPathExpr)
}

func (c *checker) propagation(m *corev1.VolumeMount, security *corev1.SecurityContext, at *field.Path) {
	if m.MountPropagation == nil {
		return
	}
	oneOf(c, at, *m.MountPropagation, corev1.MountPropagationNone,
		corev1.MountPropagationHostToContainer, corev1.MountPropagationBidirectional)
	privileged := security != nil && isTrue(security.Privileged)
	if *m.MountPropagation == corev1.MountPropagationBidirectional && !privileged {
		c.refuse(at, pod.ReasonInvalidMount, finding{
			"puts mounts of the container on the host", "Bidirectional", "None or HostToContainer, or a privileged container"})
	}
}

func (c *checker) recursiveReadOnly(m *corev1.VolumeMount, at *field.Path) {
	if m.RecursiveReadOnly == nil {
		return
	}
	mode := *m.RecursiveReadOnly
	oneOf(c, at, mode, corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyIfPossible, corev1.RecursiveReadOnlyEnabled)
	if mode != corev1.RecursiveReadOnlyIfPossible && mode != corev1.RecursiveReadOnlyEnabled {
		return
	}
	if !m.ReadOnly {
		c.refuse(at, pod.ReasonInvalidMount, finding{"stands without readOnly", quote(string(mode)), "readOnly: true as well"})
	}
	if m.MountPropagation != nil && *m.MountPropagation != corev1.MountPropagationNone {
		c.refuse(at, pod.ReasonInvalidMount, finding{
			"can't be had with mountPropagation", quote(string(*m.MountPropagation)), "mountPropagation None, or left out"})
	}
}
