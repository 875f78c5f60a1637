package validation

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// placed is a path in a container at which a file lies, and the field that
// puts it there.
type placed struct {
	path string
	by   *field.Path
}

// files refuses what needs a folder where the manifest itself puts a file: no
// runtime can start such a container.
func (c *checker) files(k *corev1.Container, at *field.Path) {
	message := placed{messagePath(k), at.Child("terminationMessagePath")}
	var mounted []placed
	for i := range k.VolumeMounts {
		m, here := &k.VolumeMounts[i], at.Child("volumeMounts").Index(i)
		if c.isFile(m.Name) && m.SubPath == "" && m.SubPathExpr == "" {
			mounted = append(mounted, placed{path.Clean(m.MountPath), here.Child("mountPath")})
		}
	}
	for i := range k.VolumeMounts {
		m, here := &k.VolumeMounts[i], at.Child("volumeMounts").Index(i)
		c.subPathOfFile(m, here)
		if within(m.MountPath, message.path) {
			c.inTheWay(here.Child("mountPath"), pod.ReasonInvalidMount, m.MountPath, message)
		}
		c.below(here.Child("mountPath"), pod.ReasonInvalidMount, m.MountPath, mounted)
	}
	c.below(message.by, pod.ReasonInvalid, message.path, mounted)
	for _, f := range append(mounted, message) {
		if k.WorkingDir != "" && within(k.WorkingDir, f.path) {
			c.inTheWay(at.Child("workingDir"), pod.ReasonInvalid, k.WorkingDir, f)
		}
	}
}

// below refuses a path that lies below a file.
func (c *checker) below(at *field.Path, reason pod.Reason, p string, files []placed) {
	for _, f := range files {
		if within(p, f.path) && path.Clean(p) != f.path {
			c.inTheWay(at, reason, p, f)
		}
	}
}

func (c *checker) inTheWay(at *field.Path, reason pod.Reason, p string, f placed) {
	c.refuse(at, reason, finding{
		"is at or below " + f.by.String() + ", which is the file " + quote(f.path), quote(p), "a path that is not at or below that file"})
}

func (c *checker) subPathOfFile(m *corev1.VolumeMount, at *field.Path) {
	for _, sub := range []struct{ field, path string }{{"subPath", m.SubPath}, {"subPathExpr", m.SubPathExpr}} {
		if sub.path != "" && c.isFile(m.Name) {
			c.refuse(at.Child(sub.field), pod.ReasonInvalidMount, finding{
				"leads into a volume that is a file", quote(sub.path), "the field left out, or a volume that is a folder"})
		}
	}
}

// messagePath is where a container leaves its last words.
func messagePath(k *corev1.Container) string {
	if k.TerminationMessagePath == "" {
		return corev1.TerminationMessagePathDefault
	}
	return path.Clean(k.TerminationMessagePath)
}

// isFile tells whether a volume can't be a folder.
func (c *checker) isFile(volume string) bool {
	for _, v := range c.pod.Spec.Volumes {
		if v.Name != volume || v.HostPath == nil || v.HostPath.Type == nil {
			continue
		}
		switch *v.HostPath.Type {
		case corev1.HostPathFileOrCreate, corev1.HostPathFile, corev1.HostPathSocket,
			corev1.HostPathCharDev, corev1.HostPathBlockDev:
			return true
		}
	}
	return false
}
