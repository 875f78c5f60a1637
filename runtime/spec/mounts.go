package spec

import (
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// mounts returns everything that is mounted over the root file system,
// parents before what is below them. A mount of the pod replaces a default
// one at its target or below it; the pod's own termination log path likewise.
func (b *builder) mounts() ([]specs.Mount, error) {
	var asked []specs.Mount
	for _, m := range b.req.Mounts {
		bind, err := b.bind(m)
		if err != nil {
			return nil, err
		}
		asked = append(asked, bind)
	}
	all := slices.DeleteFunc(append(b.defaultMounts(), b.etcFiles()...), func(m specs.Mount) bool {
		return slices.ContainsFunc(asked, func(a specs.Mount) bool { return within(a.Destination, m.Destination) })
	})
	if log, ok := b.terminationLog(); ok {
		if !slices.ContainsFunc(asked, func(a specs.Mount) bool { return a.Destination == log.Destination }) {
			all = append(all, log)
		}
	}
	all = append(all, asked...)
	slices.SortStableFunc(all, func(x, y specs.Mount) int { return depth(x.Destination) - depth(y.Destination) })
	return all, nil
}

// cgroupRoot is where the cgroup hierarchies are.
const cgroupRoot = "/sys/fs/cgroup"

// hasCgroupV1Root tells that a container which is not privileged sees the
// hierarchies of version 1 in a tmpfs of their own. Runc leaves that tmpfs
// writable although its mount is "ro", so it is made read-only by its path.
func (b *builder) hasCgroupV1Root() bool {
	return !b.in.Host.CgroupV2 && !b.privileged &&
		!slices.ContainsFunc(b.req.Mounts, func(m pod.Mount) bool { return within(path.Clean(m.Target), cgroupRoot) })
}

func depth(p string) int { return strings.Count(p, "/") }

func procMount() specs.Mount {
	return specs.Mount{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}}
}

func devMount(options ...string) specs.Mount {
	return specs.Mount{Destination: "/dev", Type: "tmpfs", Source: "tmpfs",
		Options: append([]string{"nosuid", "strictatime", "mode=755", "size=65536k"}, options...)}
}

// defaultMounts is what every container has. Only privileged ones may write
// to /sys and to the cgroups.
func (b *builder) defaultMounts() []specs.Mount {
	access := "ro"
	if b.privileged {
		access = "rw"
	}
	return []specs.Mount{
		procMount(),
		devMount(),
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "bind", Source: b.shm(), Options: []string{"rbind", "rprivate", "nosuid", "noexec", "nodev", "rw"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access}},
		{Destination: cgroupRoot, Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", access}},
	}
}

// shm is the pod's shared memory, the host's where the host's IPC is shared.
func (b *builder) shm() string {
	if b.req.Pod.Spec.HostIPC {
		return "/dev/shm"
	}
	return b.req.Sandbox.ShmDir
}

// etcFiles are the files of the pod that hold names. As in Kubernetes root may
// write to them, which programs for VPNs do, unless the container's root file
// system is read-only; they lie on a small tmpfs, so that nobody fills the
// host's disk through them.
func (b *builder) etcFiles() []specs.Mount {
	if b.req.Sandbox.EtcDir == "" {
		return nil
	}
	access := "rw"
	if isTrue(b.sc.ReadOnlyRootFilesystem) {
		access = "ro"
	}
	var files []specs.Mount
	for _, name := range []string{"hosts", "hostname", "resolv.conf"} {
		files = append(files, specs.Mount{
			Destination: "/etc/" + name, Type: "bind", Source: path.Join(b.req.Sandbox.EtcDir, name),
			Options: []string{"bind", "rprivate", "nosuid", "noexec", "nodev", access},
		})
	}
	return files
}

// terminationLog is the file that the container leaves its last words in.
func (b *builder) terminationLog() (specs.Mount, bool) {
	if b.in.TerminationLog == "" {
		return specs.Mount{}, false
	}
	target := b.c.TerminationMessagePath
	if target == "" {
		target = corev1.TerminationMessagePathDefault
	}
	return specs.Mount{
		Destination: path.Clean("/" + target), Type: "bind", Source: b.in.TerminationLog,
		Options: []string{"bind", "rprivate", "nosuid", "noexec", "nodev", "rw"},
	}, true
}

// bind is one mount of the pod.
func (b *builder) bind(m pod.Mount) (specs.Mount, error) {
	target := path.Clean(m.Target)
	if !path.IsAbs(target) || target == "/" {
		return specs.Mount{}, b.refuse(reasonConfig, "volumeMounts", "mountPath is %s, want an absolute path below the root", quote(m.Target))
	}
	propagation := m.Propagation
	switch propagation {
	case "private", "":
		propagation = "rprivate"
	case "rslave", "rshared":
	default:
		return specs.Mount{}, fmt.Errorf("build spec of %q in %s: mount %s: unknown propagation %q", b.req.Name, b.req.Instance, target, m.Propagation)
	}
	options := []string{"rbind", propagation}
	switch {
	case m.RecursiveReadOnly:
		options = append(options, "ro", "rro")
	case m.ReadOnly:
		options = append(options, "ro")
	default:
		options = append(options, "rw")
	}
	return specs.Mount{Destination: target, Type: "bind", Source: m.Source, Options: options}, nil
}

// rootPropagation is what the root of the container's mount tree needs so
// that mounts below it can send or receive.
func rootPropagation(mounts []pod.Mount) string {
	most := ""
	for _, m := range mounts {
		switch m.Propagation {
		case "rshared":
			return "rshared"
		case "rslave":
			most = "rslave"
		}
	}
	return most
}
