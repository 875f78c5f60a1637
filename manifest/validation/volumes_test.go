package validation_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestVolumes(t *testing.T) {
	volumes := func(v ...corev1.Volume) change {
		return func(p *corev1.Pod, _ *corev1.Container) { p.Spec.Volumes = v }
	}
	empty := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	}
	dir := func(e corev1.EmptyDirVolumeSource) change {
		return volumes(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &e}})
	}
	size := func(s string) change { return dir(corev1.EmptyDirVolumeSource{SizeLimit: new(resource.MustParse(s))}) }
	host := func(path string, kind ...corev1.HostPathType) change {
		h := &corev1.HostPathVolumeSource{Path: path}
		if len(kind) > 0 {
			h.Type = &kind[0]
		}
		return volumes(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: h}})
	}
	two := empty("v")
	two.HostPath = &corev1.HostPathVolumeSource{Path: "/"}
	const at = "spec.volumes[0]"
	const absolute = ", want an absolute path of at most 4095 bytes without .., such as /data)"
	checkRules(t, []rule{
		{"no name", volumes(empty("")), []string{at + ".name: required: is required (want a name)"}, volumes(empty("a"))},
		{"bad name", volumes(empty("a.b")), []string{at + `.name: invalid-name: must not contain dots (got "a.b")`}, volumes(empty("a-b"))},
		{"name twice", volumes(empty("a"), empty("a")),
			[]string{`spec.volumes[1].name: duplicate: is taken by spec.volumes[0].name (got "a", want a name that no other volume of the pod has)`},
			volumes(empty("a"), empty("b"))},
		{"no source", volumes(corev1.Volume{Name: "v"}), []string{at + ": invalid: must have one source (got none, want exactly one, such as emptyDir or hostPath)"}, volumes(empty("v"))},
		{"two sources", volumes(two), []string{at + ": invalid: must have one source (got hostPath and emptyDir, want exactly one, such as emptyDir or hostPath)"}, volumes(empty("v"))},
		{"no path", host(""), []string{at + ".hostPath.path: required: is required (want an absolute path on the host)"}, host("/")},
		{"relative path", host("srv"), []string{at + `.hostPath.path: invalid: is not absolute (got "srv"` + absolute}, host("/srv")},
		{"path with ..", host("/srv/../etc"), []string{at + `.hostPath.path: invalid: has a .. in it (got "/srv/../etc"` + absolute}, host("/srv/..etc")},
		{"path with newline", host("/a\nb"), []string{at + `.hostPath.path: invalid: has a control character (got "/a\nb"` + absolute}, host("/a b")},
		{"path too long", host(strings.Repeat("/a", 2048)),
			[]string{at + `.hostPath.path: invalid: is too long (got "` + strings.Repeat("/a", 40) + `"... of 4096 bytes` + absolute}, host(strings.Repeat("/a", 2047))},
		{"type", host("/srv", "Dir"),
			[]string{at + `.hostPath.type: invalid: is not a known value (got "Dir", want DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice or BlockDevice)`}, host("/srv", "")},
		{"medium", dir(corev1.EmptyDirVolumeSource{Medium: "HugePages"}),
			[]string{at + `.emptyDir.medium: invalid: is not a known value (got "HugePages", want Memory, or the field left out for the disk)`}, dir(corev1.EmptyDirVolumeSource{Medium: "Memory"})},
		{"negative size", size("-1"), []string{at + ".emptyDir.sizeLimit: invalid-quantity: is negative (got -1, want 0 or more)"}, size("1")},
		{"fraction of a byte", size("500m"),
			[]string{at + ".emptyDir.sizeLimit: invalid-quantity: is a fraction of a byte: m means thousandths, M and Mi mean millions (got 500m, want whole bytes, such as 64Mi)"}, size("500M")},
	})
}
