package policy

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// lift returns a copy of the pod without what the source was granted, at the
// same places: what the standards then still refuse is refused.
func (l Level) lift(p *corev1.Pod) *corev1.Pod {
	lifted := p.DeepCopy()
	for _, list := range [][]corev1.Container{lifted.Spec.InitContainers, lifted.Spec.Containers} {
		for i := range list {
			l.liftPorts(list[i].Ports)
		}
	}
	for i := range lifted.Spec.EphemeralContainers {
		l.liftPorts(lifted.Spec.EphemeralContainers[i].Ports)
	}
	for i := range lifted.Spec.Volumes {
		if v := &lifted.Spec.Volumes[i]; v.HostPath != nil && l.allowsPath(v.HostPath.Path) {
			// A volume of a kind that every level allows keeps the place.
			v.HostPath, v.EmptyDir = nil, &corev1.EmptyDirVolumeSource{}
		}
	}
	return lifted
}

func (l Level) liftPorts(ports []corev1.ContainerPort) {
	for i := range ports {
		if l.allowsPort(ports[i].HostPort) {
			ports[i].HostPort = 0
		}
	}
}

func (l Level) allowsPort(port int32) bool {
	return slices.ContainsFunc(l.AllowHostPorts, func(r PortRange) bool { return r.has(port) })
}

func (l Level) allowsPath(p string) bool {
	return plain(p) && slices.ContainsFunc(l.AllowHostPaths, func(dir string) bool {
		return plain(dir) && below(path.Clean(p), path.Clean(dir))
	})
}

// plain tells whether a path is absolute and goes down only. With symbolic
// links in between, nobody knows where a ".." leads.
func plain(p string) bool {
	return path.IsAbs(p) && !slices.Contains(strings.Split(p, "/"), "..")
}

// below tells whether a clean path is dir or in it.
func below(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}
