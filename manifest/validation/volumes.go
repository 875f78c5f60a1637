package validation

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

func (c *checker) volumes(volumes []corev1.Volume, at *field.Path) {
	names := map[string]*field.Path{}
	for i := range volumes {
		v, here := &volumes[i], at.Index(i)
		c.volumeName(v.Name, here.Child("name"), names)
		if set := setFields(v.VolumeSource); len(set) != 1 {
			c.refuse(here, pod.ReasonInvalid, finding{"must have one source", countOf(set), "exactly one, such as emptyDir or hostPath"})
		}
		c.hostPath(v.HostPath, here.Child("hostPath"))
		c.emptyDir(v.EmptyDir, here.Child("emptyDir"))
	}
}

func (c *checker) volumeName(name string, at *field.Path, names map[string]*field.Path) {
	if name == "" {
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: "a name"})
		return
	}
	c.refuseAll(at, pod.ReasonInvalidName, name, validation.IsDNS1123Label(name))
	if first, taken := names[name]; taken {
		c.refuse(at, pod.ReasonDuplicate, finding{"is taken by " + first.String(), quote(name), "a name that no other volume of the pod has"})
		return
	}
	names[name] = at
}

func (c *checker) hostPath(h *corev1.HostPathVolumeSource, at *field.Path) {
	if h == nil {
		return
	}
	if h.Path == "" {
		c.refuse(at.Child("path"), pod.ReasonRequired, finding{message: "is required", want: "an absolute path on the host"})
	} else {
		c.absolutePath(at.Child("path"), pod.ReasonInvalid, h.Path)
	}
	if h.Type != nil {
		oneOf(c, at.Child("type"), *h.Type,
			corev1.HostPathDirectoryOrCreate, corev1.HostPathDirectory, corev1.HostPathFileOrCreate, corev1.HostPathFile,
			corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev)
	}
}

func (c *checker) emptyDir(e *corev1.EmptyDirVolumeSource, at *field.Path) {
	if e == nil {
		return
	}
	if e.Medium != corev1.StorageMediumDefault && e.Medium != corev1.StorageMediumMemory {
		c.refuse(at.Child("medium"), pod.ReasonInvalid, finding{
			"is not a known value", quote(string(e.Medium)), "Memory, or the field left out for the disk"})
	}
	if e.SizeLimit != nil {
		c.bytes(at.Child("sizeLimit"), *e.SizeLimit)
	}
}
