package volumes_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/internal/mounts"
	"github.com/podstead/podstead/pod"
)

// volume is a hostPath with something to find and a way out of it.
func volume(t *testing.T, dir string) (host, outside string) {
	t.Helper()
	host, outside = filepath.Join(filepath.Dir(dir), "host"), filepath.Join(filepath.Dir(dir), "outside")
	must(t, os.MkdirAll(filepath.Join(host, "dir/below"), 0o755))
	must(t, os.MkdirAll(outside, 0o755))
	must(t, os.WriteFile(filepath.Join(outside, "canary"), []byte("alive"), 0o600))
	must(t, os.WriteFile(filepath.Join(host, "file"), []byte("content"), 0o644))
	for name, target := range map[string]string{
		"inside": "dir/below", "up": "../outside", "absolute": outside, "host-root": "/", "dangling": "nothing",
		"circle": "circle", "dir/up-and-back": "../dir/below", "through-proc": "/proc/self/root",
	} {
		must(t, os.Symlink(target, filepath.Join(host, name)))
	}
	return host, outside
}

func TestSubPath(t *testing.T) {
	for _, tc := range []struct{ sub, same, reason string }{
		{"dir", "dir", ""},
		{"dir/below", "dir/below", ""},
		{"./dir//below/", "dir/below", ""},
		{"file", "file", ""},
		{"inside", "dir/below", ""},
		{"dir/up-and-back", "dir/below", ""},
		{"new/folder", "new/folder", ""},
		{"inside/new", "dir/below/new", ""},
		{".", ".", ""},
		{"../outside", "", "SubPathEscape"},
		{"dir/../../outside", "", "SubPathEscape"},
		{"dir/../file", "", "SubPathEscape"},
		{"/etc", "", "SubPathEscape"},
		{"up", "", "SubPathEscape"},
		{"up/new", "", "SubPathEscape"},
		{"absolute", "", "SubPathEscape"},
		{"absolute/canary", "", "SubPathEscape"},
		{"host-root/etc", "", "SubPathEscape"},
		{"through-proc/etc", "", "SubPathEscape"},
		{"circle", "", "SubPathEscape"},
		{"file/below", "", "CreateContainerConfigError"},
		{"dangling", "", "CreateContainerConfigError"},
	} {
		t.Run(strings.ReplaceAll(tc.sub, "/", "|"), func(t *testing.T) {
			v, dir := start(t)
			host, outside := volume(t, dir)
			m, err := mount(t, v, web([]corev1.Volume{hostPath("h", host, corev1.HostPathDirectory)},
				corev1.VolumeMount{Name: "h", MountPath: "/h", SubPath: tc.sub}))
			if left, _ := os.ReadDir(outside); len(left) != 1 {
				t.Errorf("something was made outside the volume: %v", left)
			}
			if tc.reason != "" {
				var refused *pod.Refused
				if !errors.As(err, &refused) || refused.Reason != tc.reason {
					t.Errorf("%+v, %v, want it refused with %s", m, err, tc.reason)
				}
				if left, _ := mounts.Below(dir); len(left) != 0 {
					t.Errorf("mounted all the same: %q", left)
				}
				return
			}
			must(t, err)
			got, want := stat(t, m.Source), stat(t, filepath.Join(host, tc.same))
			if got.Dev != want.Dev || got.Ino != want.Ino {
				t.Errorf("%s is mounted, want %s", m.Source, tc.same)
			}
		})
	}
}

func TestSubPathIsMadeLikeItsVolume(t *testing.T) {
	v, dir := start(t)
	p := group(web([]corev1.Volume{emptyDir("a")}, corev1.VolumeMount{Name: "a", MountPath: "/a", SubPath: "x/y"}), 2000)
	_, err := mount(t, v, p)
	must(t, err)
	for _, name := range []string{"x", "x/y"} {
		if st := stat(t, filepath.Join(dir, string(uid), "volumes/a", name)); st.Mode&0o7777 != 0o2777 || st.Gid != 2000 {
			t.Errorf("%s has mode %o and group %d, want 2777 and 2000", name, st.Mode&0o7777, st.Gid)
		}
	}
}

func TestMountsAgain(t *testing.T) {
	v, dir := start(t)
	p := web([]corev1.Volume{emptyDir("a")}, corev1.VolumeMount{Name: "a", MountPath: "/a", SubPath: "x"})
	var first pod.Mount
	for range 3 {
		m, err := mount(t, v, p)
		must(t, err)
		if first.Source != "" && m != first {
			t.Errorf("%+v, want %+v as before", m, first)
		}
		first = m
	}
	if points, _ := mounts.Below(dir); len(points) != 1 {
		t.Errorf("mounted %q, want it once", points)
	}
	// The container replaced the folder: the next run gets the new one.
	x := filepath.Join(dir, string(uid), "volumes/a/x")
	must(t, errors.Join(os.Rename(x, x+".old"), os.Mkdir(x, 0o700), os.WriteFile(filepath.Join(x, "new"), nil, 0o600)))
	m, err := mount(t, v, p)
	must(t, err)
	if _, err := os.Stat(filepath.Join(m.Source, "new")); err != nil {
		t.Errorf("the old folder is still mounted: %v", err)
	}
	// And one that became a file.
	must(t, errors.Join(os.RemoveAll(x), os.WriteFile(x, []byte("content"), 0o600)))
	m, err = mount(t, v, p)
	must(t, err)
	if data, err := os.ReadFile(m.Source); err != nil || string(data) != "content" {
		t.Errorf("%q, %v, want the file's content", data, err)
	}
}

func TestSubPathExpr(t *testing.T) {
	v, dir := start(t)
	fieldRef := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	for _, tc := range []struct{ expr, want, reason string }{
		{"$(POD)/logs", "web/logs", ""},
		{"$(NS)-$(TIER)-$(UID)", "default-front-uid-1", ""},
		{"$(BOTH)", "a-web", ""},
		{"$$(POD)", "$(POD)", ""},
		{"a$", "a$", ""},
		{"$(NOBODY)", "", "CreateContainerConfigError"},
		{"$(UP)/x", "", "SubPathEscape"},
		{"$(ROOT)", "", "SubPathEscape"},
	} {
		p := web([]corev1.Volume{emptyDir("a")}, corev1.VolumeMount{Name: "a", MountPath: "/a", SubPathExpr: tc.expr})
		p.Spec.Containers[0].Env = []corev1.EnvVar{
			{Name: "POD", ValueFrom: fieldRef("metadata.name")}, {Name: "NS", ValueFrom: fieldRef("metadata.namespace")},
			{Name: "UID", ValueFrom: fieldRef("metadata.uid")}, {Name: "TIER", ValueFrom: fieldRef("metadata.labels['tier']")},
			{Name: "BOTH", Value: "a-$(POD)"}, {Name: "UP", Value: ".."}, {Name: "ROOT", Value: "/etc"},
		}
		m, err := mount(t, v, p)
		if tc.reason != "" {
			var refused *pod.Refused
			if !errors.As(err, &refused) || refused.Reason != tc.reason {
				t.Errorf("%s: %v, want it refused with %s", tc.expr, err, tc.reason)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.expr, err)
			continue
		}
		if got, want := stat(t, m.Source), stat(t, filepath.Join(dir, string(uid), "volumes/a", tc.want)); got.Ino != want.Ino {
			t.Errorf("%s is not %s", tc.expr, tc.want)
		}
	}
}

func TestMountFlags(t *testing.T) {
	v, _ := start(t)
	ref := func(m corev1.MountPropagationMode) *corev1.MountPropagationMode { return &m }
	rro := func(m corev1.RecursiveReadOnlyMode) *corev1.RecursiveReadOnlyMode { return &m }
	for _, tc := range []struct {
		mount corev1.VolumeMount
		want  pod.Mount
	}{
		{corev1.VolumeMount{}, pod.Mount{Propagation: "private"}},
		{corev1.VolumeMount{ReadOnly: true}, pod.Mount{Propagation: "private", ReadOnly: true}},
		{corev1.VolumeMount{ReadOnly: true, RecursiveReadOnly: rro(corev1.RecursiveReadOnlyEnabled)}, pod.Mount{Propagation: "private", ReadOnly: true, RecursiveReadOnly: true}},
		{corev1.VolumeMount{ReadOnly: true, RecursiveReadOnly: rro(corev1.RecursiveReadOnlyIfPossible)}, pod.Mount{Propagation: "private", ReadOnly: true, RecursiveReadOnly: true}},
		{corev1.VolumeMount{ReadOnly: true, RecursiveReadOnly: rro(corev1.RecursiveReadOnlyDisabled)}, pod.Mount{Propagation: "private", ReadOnly: true}},
		{corev1.VolumeMount{RecursiveReadOnly: rro(corev1.RecursiveReadOnlyEnabled)}, pod.Mount{Propagation: "private"}},
		{corev1.VolumeMount{MountPropagation: ref(corev1.MountPropagationHostToContainer)}, pod.Mount{Propagation: "rslave"}},
		{corev1.VolumeMount{MountPropagation: ref(corev1.MountPropagationBidirectional)}, pod.Mount{Propagation: "rshared"}},
	} {
		tc.mount.Name, tc.mount.MountPath = "h", "/h"
		tc.want.Source, tc.want.Target = "/tmp", "/h"
		got, err := mount(t, v, web([]corev1.Volume{hostPath("h", "/tmp", corev1.HostPathDirectory)}, tc.mount))
		if err != nil || got != tc.want {
			t.Errorf("%+v, %v, want %+v", got, err, tc.want)
		}
	}
	_, err := mount(t, v, web(nil, corev1.VolumeMount{Name: "nobody", MountPath: "/x"}))
	if refused := (*pod.Refused)(nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("mount of a volume that is not there: %v", err)
	}
	if _, err := v.Mounts(t.Context(), uid, web(nil), "another"); err == nil {
		t.Error("mounts of a container that is not there were resolved")
	}
}
