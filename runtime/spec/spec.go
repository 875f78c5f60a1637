// Package spec turns one run of a container into the OCI spec that runc or
// crun is to execute. It is a pure function of values: it reads no file, no
// clock and no environment, so equal inputs give equal specs, and what a pod
// may do on this host can be read off its golden files.
//
// Field meanings and defaults are those of the Kubernetes Pod API. Where the
// API leaves a choice to the runtime, the stricter one is taken: seccomp's
// RuntimeDefault for every container that does not say otherwise, and without
// the capabilities NET_RAW, MKNOD and AUDIT_WRITE that containerd grants.
// allowPrivilegeEscalation keeps the API's meaning, unset allows it, because
// images with sudo or file capabilities rely on it.
package spec

import (
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// GroupAnnotation makes the runc shim of containerd serve every container
// that bears the same value with one process.
const GroupAnnotation = "io.containerd.runc.v2.group"

// PausePath is the program that a pause container runs, in its root file
// system.
const PausePath = "/podstead-pause"

// bundleRoot is where containerd mounts the snapshot, relative to the bundle.
const bundleRoot = "rootfs"

// Input is everything that the spec of one run depends on.
type Input struct {
	// Request is the run that is asked for. Its Pod is defaulted and
	// validated.
	Request pod.StartRequest
	// Image is the image's configuration, as its author wrote it; none of it
	// is trusted. It is zero for pause containers.
	Image ocispec.ImageConfig
	// Passwd and Group are the contents of /etc/passwd and /etc/group in the
	// container's root file system, nil where there are none. The caller
	// reads at most MaxUserFile+1 bytes of each; more than MaxUserFile is
	// refused.
	Passwd, Group []byte
	// SeccompProfile is the content of the file that SeccompFile names.
	SeccompProfile []byte
	// TerminationLog is the host's path of the file that is mounted at
	// terminationMessagePath; empty for none.
	TerminationLog string
	// RootPath is the root file system, absolute or relative to the bundle;
	// empty means "rootfs".
	RootPath string
	Host     Host
}

// Host is what a spec depends on of the machine.
type Host struct {
	// CgroupV2 tells that the only hierarchy is version 2 (not hybrid).
	CgroupV2 bool
	// Seccomp tells that kernel and runtime can filter system calls.
	Seccomp bool
	// AppArmor tells that the kernel enforces AppArmor.
	AppArmor bool
	// AppArmorProfiles names the loaded profiles. Where AppArmor is true,
	// AppArmorDefault has to be among them.
	AppArmorProfiles []string
	// Capabilities is what "all capabilities" means here, such as CAP_CHOWN;
	// empty means all that this version knows.
	Capabilities []string
	// Devices are the host's device nodes, given to privileged containers.
	Devices []specs.LinuxDevice
	// CPUs is the number of possible CPUs; each has a file of thermal events
	// that is masked, since it tells of other pods' work.
	CPUs int
	// OOMScoreAdjMin is the lowest oom_score_adj that a process of the
	// runtime may give its children: its own where it lacks CAP_SYS_RESOURCE,
	// nil where it may give any. Lower ones are raised to it; the runtime
	// would fail to start the container with them.
	OOMScoreAdjMin *int
}

// Build returns the spec of one run. An error that the pod or its image is
// the cause of is a *pod.Refused; any other says that the request itself is
// incomplete, such as a sandbox without its namespaces. The spec shares no
// memory with the input that a later change of the spec could reach, except
// what Request.Resources points to.
func Build(in Input) (*specs.Spec, error) {
	if in.Request.Role == pod.RolePause {
		return pause(in)
	}
	b, err := newBuilder(in)
	if err != nil {
		return nil, err
	}
	process, err := b.process()
	if err != nil {
		return nil, err
	}
	linux, err := b.linux(process)
	if err != nil {
		return nil, err
	}
	mounts, err := b.mounts()
	if err != nil {
		return nil, err
	}
	linux.RootfsPropagation = rootPropagation(in.Request.Mounts)
	return &specs.Spec{
		Version:     specs.Version,
		Process:     process,
		Root:        &specs.Root{Path: rootPath(in), Readonly: isTrue(b.sc.ReadOnlyRootFilesystem)},
		Mounts:      mounts,
		Annotations: annotations(in),
		Linux:       linux,
	}, nil
}

// builder holds what the parts of one container's spec are derived from.
type builder struct {
	in  Input
	req pod.StartRequest
	c   *corev1.Container
	// sc is the container's security context over the pod's.
	sc         corev1.SecurityContext
	privileged bool
	// field is the container's place in its pod: spec.containers[0].
	field string
}

func newBuilder(in Input) (*builder, error) {
	r := in.Request
	c := pod.ContainerSpec(r.Pod, r.Name)
	if c == nil {
		return nil, fmt.Errorf("build spec of %q in %s: its pod has no such container", r.Name, r.Instance)
	}
	sc := effective(r.Pod, c)
	return &builder{
		in: in, req: r, c: c, sc: sc,
		privileged: isTrue(sc.Privileged),
		field:      fieldOf(r.Pod, r.Name),
	}, nil
}

// process says who runs what and with which rights.
func (b *builder) process() (*specs.Process, error) {
	env, vars, err := b.environment()
	if err != nil {
		return nil, err
	}
	args, err := b.args(vars)
	if err != nil {
		return nil, err
	}
	if err := b.checkSize(args, env); err != nil {
		return nil, err
	}
	cwd, err := b.cwd()
	if err != nil {
		return nil, err
	}
	user, err := b.user()
	if err != nil {
		return nil, err
	}
	caps, err := b.capabilities()
	if err != nil {
		return nil, err
	}
	profile, err := b.apparmor()
	if err != nil {
		return nil, err
	}
	return &specs.Process{
		Terminal:        b.c.TTY,
		User:            user,
		Args:            args,
		Env:             env,
		Cwd:             cwd,
		Capabilities:    capabilitySets(caps),
		NoNewPrivileges: isFalse(b.sc.AllowPrivilegeEscalation),
		ApparmorProfile: profile,
		OOMScoreAdj:     oomScoreAdj(b.in),
	}, nil
}

func (b *builder) linux(process *specs.Process) (*specs.Linux, error) {
	ns, err := namespaces(b.in, b.privileged)
	if err != nil {
		return nil, err
	}
	filter, err := b.seccomp(process)
	if err != nil {
		return nil, err
	}
	l := &specs.Linux{
		Namespaces:  ns,
		CgroupsPath: b.req.CgroupPath,
		Resources:   resources(b.req.Resources, b.privileged),
		Seccomp:     filter,
	}
	if b.privileged {
		l.Devices = slices.Clone(b.in.Host.Devices)
	} else if !b.unmasked() {
		l.MaskedPaths, l.ReadonlyPaths = maskedPaths(b.in.Host.CPUs), readonlyPaths()
	}
	if b.hasCgroupV1Root() {
		l.ReadonlyPaths = append(l.ReadonlyPaths, cgroupRoot)
	}
	return l, nil
}

// oomScoreAdj is what was asked for, as far as the host lets us.
func oomScoreAdj(in Input) *int {
	adj := in.Request.OOMScoreAdj
	if lowest := in.Host.OOMScoreAdjMin; lowest != nil {
		adj = max(adj, *lowest)
	}
	return &adj
}

// resources adds the rule of the devices cgroup to the limits. The runtime
// itself lets the few devices through that every container has.
func resources(limits *specs.LinuxResources, allDevices bool) *specs.LinuxResources {
	var r specs.LinuxResources
	if limits != nil {
		r = *limits
	}
	rule := specs.LinuxDeviceCgroup{Allow: allDevices, Access: "rwm"}
	r.Devices = append([]specs.LinuxDeviceCgroup{rule}, r.Devices...)
	return &r
}

func rootPath(in Input) string {
	if in.RootPath == "" {
		return bundleRoot
	}
	return in.RootPath
}

// annotations holds nothing that an image brings: labels of images have been
// taken for commands of the host (CVE-2026-53488).
func annotations(in Input) map[string]string {
	return map[string]string{GroupAnnotation: string(in.Request.UID)}
}

func isTrue(b *bool) bool  { return b != nil && *b }
func isFalse(b *bool) bool { return b != nil && !*b }
