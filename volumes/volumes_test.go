package volumes_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/mounts"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/volumes"
)

const uid = types.UID("uid-1")

// start returns volumes in a folder in which nothing stays mounted. The
// daemon's umask applies: modes must not depend on it.
func start(t *testing.T) (*volumes.Volumes, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	old := unix.Umask(0o077)
	t.Cleanup(func() { unix.Umask(old) })
	dir := filepath.Join(t.TempDir(), "volumes")
	t.Cleanup(func() {
		if err := mounts.Unmount(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	v, err := volumes.New(volumes.Config{Dir: dir, MemoryAllocatable: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return v, dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// web is a pod with one container, volumes and mounts.
func web(vols []corev1.Volume, vms ...corev1.VolumeMount) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Labels: map[string]string{"tier": "front"}},
		Spec: corev1.PodSpec{
			Volumes:    vols,
			Containers: []corev1.Container{{Name: "app", VolumeMounts: vms}},
		},
	}
}

func emptyDir(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}

func inMemory(name, limit string) corev1.Volume {
	v := emptyDir(name)
	v.EmptyDir.Medium = corev1.StorageMediumMemory
	if limit != "" {
		q := resource.MustParse(limit)
		v.EmptyDir.SizeLimit = &q
	}
	return v
}

func hostPath(name, path string, t corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &t}}}
}

// mount returns the one mount of a pod's container.
func mount(t *testing.T, v *volumes.Volumes, p *corev1.Pod) (pod.Mount, error) {
	t.Helper()
	must(t, v.Prepare(t.Context(), uid, p))
	ms, err := v.Mounts(t.Context(), uid, p, "app")
	if err != nil {
		return pod.Mount{}, err
	}
	if len(ms) != 1 {
		t.Fatalf("%d mounts, want one", len(ms))
	}
	return ms[0], nil
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return st
}

func group(p *corev1.Pod, gid int64) *corev1.Pod {
	p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &gid}
	return p
}

func TestEmptyDirOwnersAndModes(t *testing.T) {
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		mode uint32
		gid  uint32
	}{
		{"on disk", web([]corev1.Volume{emptyDir("a")}, corev1.VolumeMount{Name: "a", MountPath: "/a"}), 0o777, 0},
		{"on disk with fsGroup", group(web([]corev1.Volume{emptyDir("a")}, corev1.VolumeMount{Name: "a", MountPath: "/a"}), 2000), 0o2777, 2000},
		{"in memory", web([]corev1.Volume{inMemory("a", "")}, corev1.VolumeMount{Name: "a", MountPath: "/a"}), 0o777, 0},
		{"in memory with fsGroup", group(web([]corev1.Volume{inMemory("a", "")}, corev1.VolumeMount{Name: "a", MountPath: "/a"}), 2000), 0o2777, 2000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, _ := start(t)
			m, err := mount(t, v, tc.pod)
			must(t, err)
			if st := stat(t, m.Source); st.Mode&0o7777 != tc.mode || st.Gid != tc.gid || st.Uid != 0 {
				t.Errorf("mode %o group %d owner %d, want %o, %d, 0", st.Mode&0o7777, st.Gid, st.Uid, tc.mode, tc.gid)
			}
		})
	}
}

func TestPrepareLeavesWhatContainersMade(t *testing.T) {
	v, _ := start(t)
	p := web([]corev1.Volume{emptyDir("disk"), inMemory("memory", "")},
		corev1.VolumeMount{Name: "disk", MountPath: "/d"}, corev1.VolumeMount{Name: "memory", MountPath: "/m"})
	for range 2 {
		must(t, v.Prepare(t.Context(), uid, p))
		ms, err := v.Mounts(t.Context(), uid, p, "app")
		must(t, err)
		for _, m := range ms {
			file := filepath.Join(m.Source, "file")
			if _, err := os.Stat(file); err == nil {
				if st := stat(t, m.Source); st.Mode&0o7777 != 0o700 {
					t.Errorf("%s: the container's mode was changed to %o", m.Target, st.Mode&0o7777)
				}
				continue
			}
			must(t, errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(m.Source, 0o700)))
		}
	}
	ms, _ := v.Mounts(t.Context(), uid, p, "app")
	for _, m := range ms {
		if _, err := os.Stat(filepath.Join(m.Source, "file")); err != nil {
			t.Errorf("%s: %v", m.Target, err)
		}
	}
}

func TestMemorySize(t *testing.T) {
	limited := func(p *corev1.Pod, limit string) *corev1.Pod {
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}
		return p
	}
	vm := corev1.VolumeMount{Name: "a", MountPath: "/a"}
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		want uint64
	}{
		{"sizeLimit", web([]corev1.Volume{inMemory("a", "4Mi")}, vm), 4 << 20},
		{"no limit at all: the node's", web([]corev1.Volume{inMemory("a", "")}, vm), 256 << 20},
		{"the pod's limit is less", limited(web([]corev1.Volume{inMemory("a", "64Mi")}, vm), "32Mi"), 32 << 20},
		{"the pod's limit is more", limited(web([]corev1.Volume{inMemory("a", "64Mi")}, vm), "128Mi"), 64 << 20},
		{"the node has less", web([]corev1.Volume{inMemory("a", "1Gi")}, vm), 256 << 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, _ := start(t)
			m, err := mount(t, v, tc.pod)
			must(t, err)
			var fsys unix.Statfs_t
			must(t, unix.Statfs(m.Source, &fsys))
			if got := fsys.Blocks * uint64(fsys.Bsize); got != tc.want {
				t.Errorf("%d bytes, want %d", got, tc.want)
			}
			if want := int64(unix.ST_NOSUID | unix.ST_NODEV); fsys.Flags&want != want {
				t.Errorf("flags %#x, want nosuid and nodev", fsys.Flags)
			}
		})
	}
}

func TestAllRefusalsAtOnce(t *testing.T) {
	v, _ := start(t)
	err := v.Prepare(t.Context(), uid, web([]corev1.Volume{
		hostPath("one", "/no/such/1", corev1.HostPathDirectory), emptyDir("fine"),
		hostPath("two", "/no/such/2", corev1.HostPathDirectory), {Name: "three"},
	}))
	for _, name := range []string{"one", "two", "three"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name volume %s", err, name)
		}
	}
}

func TestRemoveLeavesHostPathsAlone(t *testing.T) {
	v, dir := start(t)
	host := filepath.Join(filepath.Dir(dir), "host")
	canary := filepath.Join(host, "sub/canary")
	must(t, os.MkdirAll(filepath.Dir(canary), 0o755))
	must(t, os.WriteFile(canary, []byte("alive"), 0o600))
	p := web([]corev1.Volume{hostPath("h", host, corev1.HostPathDirectory), emptyDir("e"), inMemory("m", "1Mi")},
		corev1.VolumeMount{Name: "h", MountPath: "/h"}, corev1.VolumeMount{Name: "h", MountPath: "/s", SubPath: "sub"},
		corev1.VolumeMount{Name: "e", MountPath: "/e"}, corev1.VolumeMount{Name: "m", MountPath: "/m", SubPath: "deep/er"})
	must(t, v.Prepare(t.Context(), uid, p))
	ms, err := v.Mounts(t.Context(), uid, p, "app")
	must(t, err)
	must(t, os.Symlink(host, filepath.Join(ms[2].Source, "link")))
	if uids, err := v.List(t.Context()); err != nil || !slices.Equal(uids, []types.UID{uid}) {
		t.Errorf("List = %q, %v, want %q", uids, err, uid)
	}
	must(t, errors.Join(v.Remove(t.Context(), uid), v.Remove(t.Context(), uid)))
	if data, err := os.ReadFile(canary); err != nil || string(data) != "alive" {
		t.Errorf("canary: %q, %v", data, err)
	}
	if uids, err := v.List(t.Context()); err != nil || len(uids) != 0 {
		t.Errorf("List = %q, %v, want nothing", uids, err)
	}
	if left, _ := mounts.Below(dir); len(left) != 0 {
		t.Errorf("still mounted: %q", left)
	}
}

func TestRemoveReportsWhatIsBusy(t *testing.T) {
	v, _ := start(t)
	p := web([]corev1.Volume{inMemory("m", "")}, corev1.VolumeMount{Name: "m", MountPath: "/m"})
	m, err := mount(t, v, p)
	must(t, err)
	f, err := os.Create(filepath.Join(m.Source, "held"))
	must(t, err)
	if err := v.Remove(t.Context(), uid); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), m.Source) {
		t.Errorf("Remove = %v, want EBUSY with the path", err)
	}
	if _, err := os.Stat(f.Name()); err != nil {
		t.Errorf("the volume was taken away from its user: %v", err)
	}
	must(t, f.Close())
	must(t, v.Remove(context.Background(), uid))
}

func TestUsage(t *testing.T) {
	v, _ := start(t)
	p := web([]corev1.Volume{emptyDir("d"), inMemory("m", ""), emptyDir("none")},
		corev1.VolumeMount{Name: "d", MountPath: "/d"}, corev1.VolumeMount{Name: "m", MountPath: "/m"})
	must(t, v.Prepare(t.Context(), uid, p))
	ms, err := v.Mounts(t.Context(), uid, p, "app")
	must(t, err)
	for _, m := range ms {
		file := filepath.Join(m.Source, "a/b/file")
		must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		must(t, os.WriteFile(file, make([]byte, 1<<20), 0o600))
		must(t, os.Link(file, filepath.Join(m.Source, "again")))
		must(t, os.Symlink("/usr", filepath.Join(m.Source, "link")))
		f, err := os.Create(filepath.Join(m.Source, "sparse"))
		must(t, err)
		must(t, errors.Join(f.Truncate(1<<40), f.Close()))
	}
	got, err := v.Usage(t.Context(), uid)
	must(t, err)
	for _, name := range []string{"d", "m"} {
		if n := got[name]; n < 1<<20 || n > 1<<20+1<<16 {
			t.Errorf("volume %s takes %d bytes, want 1 MiB and a little", name, n)
		}
	}
	if n, ok := got["none"]; !ok || n > 1<<14 {
		t.Errorf("an empty volume takes %d bytes (%v)", n, ok)
	}
	if got, err := v.Usage(t.Context(), "another"); err != nil || len(got) != 0 {
		t.Errorf("a pod without volumes: %v, %v", got, err)
	}
}

func TestNamesCannotLeaveTheFolder(t *testing.T) {
	v, _ := start(t)
	for _, bad := range []types.UID{"", ".", "..", "a/b", "../x"} {
		errs := []error{v.Prepare(t.Context(), bad, web(nil)), v.Remove(t.Context(), bad)}
		_, err := v.Mounts(t.Context(), bad, web(nil), "app")
		for _, err := range append(errs, err) {
			if err == nil {
				t.Errorf("UID %q was accepted", bad)
			}
		}
	}
	if err := v.Prepare(t.Context(), uid, web([]corev1.Volume{emptyDir("../x")})); err == nil {
		t.Error("volume name ../x was accepted")
	}
}
