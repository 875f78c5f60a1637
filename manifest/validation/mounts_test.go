package validation_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

type mount = corev1.VolumeMount

// longElement is one byte longer than a file's name may be.
var longElement = strings.Repeat("e", 256)

func mounts(m ...mount) change {
	return container(func(k *corev1.Container) { k.VolumeMounts = m })
}

func TestMounts(t *testing.T) {
	place := func(path string) change { return mounts(mount{Name: "data", MountPath: path}) }
	sub := func(path string) change { return mounts(mount{Name: "data", MountPath: "/a", SubPath: path}) }
	expr := func(path, other string) change {
		return mounts(mount{Name: "data", MountPath: "/a", SubPath: path, SubPathExpr: other})
	}
	sys := func(volume, host string) change {
		return func(p *corev1.Pod, k *corev1.Container) {
			p.Spec.Volumes[1].HostPath.Path = host
			k.VolumeMounts = []mount{{Name: volume, MountPath: "/sys/"}}
		}
	}
	const at = "spec.containers[0].volumeMounts[0]"
	const absolute = ", want an absolute path of at most 4095 bytes without .., such as /data)"
	const relative = ", want a relative path of at most 4095 bytes without .., such as conf/site)"
	hides := func(path string) []string {
		return []string{at + `.mountPath: invalid-mount: would hide what the container needs from the kernel (got "` + path + `", want a path other than /, /dev, /sys and /proc and all below it)`}
	}
	checkRules(t, []rule{
		{"no name", mounts(mount{MountPath: "/a"}), []string{at + ".name: required: is required (want the name of a volume)"}, place("/a")},
		{"unknown volume", mounts(mount{Name: "date", MountPath: "/a"}),
			[]string{at + `.name: invalid-mount: names no volume of this pod (got "date", want a name from spec.volumes)`}, place("/a")},
		{"no path", place(""), []string{at + ".mountPath: required: is required (want an absolute path in the container)"}, place("/a")},
		{"relative", place("a"), []string{at + `.mountPath: invalid-mount: is not absolute (got "a"` + absolute}, place("/a")},
		{"..", place("/a/../etc"), []string{at + `.mountPath: invalid-mount: has a .. in it (got "/a/../etc"` + absolute}, place("/a/..b")},
		{"root", place("//"), hides("//"), place("/root")},
		{"/proc", place("/proc"), hides("/proc"), place("/process")},
		{"below /proc", place("/proc/sys"), hides("/proc/sys"), place("/x/proc")},
		{"/dev", place("/dev/"), hides("/dev/"), place("/dev/shm")},
		{"/sys", place("/sys"), hides("/sys"), place("/sys/fs/cgroup")},
		{"/sys from elsewhere", sys("host", "/srv"), hides("/sys/"), sys("host", "/sys/")},
		{"/sys from an emptyDir", sys("data", "/sys"), hides("/sys/"), sys("host", "/sys")},
		{"same path", mounts(mount{Name: "data", MountPath: "/a"}, mount{Name: "host", MountPath: "/a/"}),
			[]string{`spec.containers[0].volumeMounts[1].mountPath: invalid-mount: is taken by spec.containers[0].volumeMounts[0].mountPath (got "/a/", want a path that no other mount of the container has)`},
			mounts(mount{Name: "data", MountPath: "/a"}, mount{Name: "host", MountPath: "/a/b"})},
		{"subPath ..", sub("../x"), []string{at + `.subPath: invalid-mount: has a .. in it (got "../x"` + relative}, sub("..x")},
		{"subPath absolute", sub("/etc"), []string{at + `.subPath: invalid-mount: is absolute (got "/etc"` + relative}, sub("etc/nginx")},
		{"subPathExpr ..", expr("", "$(A)/.."), []string{at + `.subPathExpr: invalid-mount: has a .. in it (got "$(A)/.."` + relative}, expr("", "$(A)/b")},
		{"subPathExpr with a long element", expr("", longElement),
			[]string{at + `.subPathExpr: invalid-mount: has an element of more than 255 bytes between two slashes (got "` + longElement[:80] + `"... of 256 bytes` + relative}, expr("", longElement+"$(A)")},
		{"subPath and subPathExpr", expr("a", "b"), []string{at + `.subPathExpr: invalid-mount: stands beside subPath (got "b", want one of the two)`}, expr("a", "")},
	})
}

func TestMountModes(t *testing.T) {
	propagate := func(mode corev1.MountPropagationMode, privileged bool) change {
		return container(func(k *corev1.Container) {
			k.SecurityContext = &corev1.SecurityContext{Privileged: &privileged}
			k.VolumeMounts = []mount{{Name: "data", MountPath: "/a", MountPropagation: &mode}}
		})
	}
	recursive := func(mode corev1.RecursiveReadOnlyMode, readOnly bool, propagation corev1.MountPropagationMode) change {
		return mounts(mount{Name: "data", MountPath: "/a", ReadOnly: readOnly, RecursiveReadOnly: &mode, MountPropagation: &propagation})
	}
	const at = "spec.containers[0].volumeMounts[0]"
	checkRules(t, []rule{
		{"propagation", propagate("Shared", true),
			[]string{at + `.mountPropagation: invalid: is not a known value (got "Shared", want None, HostToContainer or Bidirectional)`}, propagate("None", false)},
		{"bidirectional without privilege", propagate("Bidirectional", false),
			[]string{at + ".mountPropagation: invalid-mount: puts mounts of the container on the host (got Bidirectional, want None or HostToContainer, or a privileged container)"},
			propagate("Bidirectional", true)},
		{"recursiveReadOnly", recursive("Yes", true, "None"),
			[]string{at + `.recursiveReadOnly: invalid: is not a known value (got "Yes", want Disabled, IfPossible or Enabled)`}, recursive("Disabled", false, "HostToContainer")},
		{"recursiveReadOnly without readOnly", recursive("Enabled", false, "None"),
			[]string{at + `.recursiveReadOnly: invalid-mount: stands without readOnly (got "Enabled", want readOnly: true as well)`}, recursive("Enabled", true, "None")},
		{"recursiveReadOnly with propagation", recursive("IfPossible", true, "HostToContainer"),
			[]string{at + `.recursiveReadOnly: invalid-mount: can't be had with mountPropagation (got "HostToContainer", want mountPropagation None, or left out)`}, recursive("IfPossible", true, "None")},
	})
}
