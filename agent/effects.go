package agent

import (
	"context"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// Containers runs containers. An error that wraps pod.ErrUnavailable says that
// containerd can't be asked; nothing is concluded from it. Every method is idempotent, may be called again
// after a crash at any point, honours its context, and is called for one pod
// at a time except Stop and Kill, which may overlap with anything.
type Containers interface {
	// List observes every container that bears our labels. Foreign
	// containers in the same namespace are never returned or touched.
	List(ctx context.Context) ([]pod.Container, error)
	// Observe looks at one container. ok is false when there is none.
	Observe(ctx context.Context, id string) (c pod.Container, ok bool, err error)
	// Start makes and starts the requested run, or finds it made and started.
	// A process that can't be started is no error: the container comes back
	// dead with ExitStartError. *pod.Refused says that the container can't be
	// made as asked; any other error is to be tried again.
	Start(ctx context.Context, r pod.StartRequest) (pod.Container, error)
	// Stop records the intent durably. If s.Signalled is set, it first sends
	// the container's stop signal and then records it with the time at which
	// it was sent, which is also s.Since where the two were equal. A container
	// that is gone is no error.
	Stop(ctx context.Context, id string, s pod.Stopping) error
	// Kill sends SIGKILL to every process of the container.
	Kill(ctx context.Context, id string) error
	// Reap collects what an exited container left (code, OOM count,
	// termination message, log tail), records it durably with the container,
	// ends what is left of its processes and deletes its task. The answer
	// has StateDead and its Exit.
	Reap(ctx context.Context, id string) (pod.Container, error)
	// DropLayer deletes the writable layer of a dead container, of which the
	// record stays. The space is free after the next Images.Sweep.
	DropLayer(ctx context.Context, id string) (pod.Container, error)
	// Remove deletes a dead container's record, snapshot and links, not its
	// logs.
	Remove(ctx context.Context, id string) error
	// Forget ends what is left of a pod of which no container is recorded any
	// more, because the runtime lost its records.
	Forget(ctx context.Context, uid types.UID) error
	// Resize changes the limits of a running container in place.
	Resize(ctx context.Context, id string, r *specs.LinuxResources) error
	// Record replaces the pod and origin recorded with a container.
	Record(ctx context.Context, id string, p *corev1.Pod, o pod.Origin) error
	// Ping asks the runtime for a sign of life and nothing else.
	Ping(ctx context.Context) error
	// Watch calls changed with the id of each container of which something
	// may have changed, and "" when anything may have (a new connection). It
	// returns when ctx ends, and otherwise reconnects for ever.
	Watch(ctx context.Context, changed func(id string)) error
}

// Images fetches images.
type Images interface {
	// Lookup finds a present, unpacked image. ok is false when there is none.
	Lookup(ctx context.Context, ref string) (img pod.Image, ok bool, err error)
	// Pull fetches and unpacks an image and checks that this host can run
	// it. It fails when nothing moved for its stall limit, never by a total
	// time limit.
	// *pod.NoRoom says that there is no room for it.
	Pull(ctx context.Context, ref string, progress func(pod.ImageProgress)) (pod.Image, error)
	// StoredImages lists every image that is there, sorted by digest.
	StoredImages(ctx context.Context) ([]pod.StoredImage, error)
	// RemoveImage deletes an image under all its names and returns when its
	// space is free.
	RemoveImage(ctx context.Context, img pod.StoredImage) error
	// NoteUse records when an image was last used.
	NoteUse(ctx context.Context, digest string, at time.Time) error
	// Sweep deletes what nothing refers to any more and returns when its space
	// is free.
	Sweep(ctx context.Context) error
}

// Disks measures the file systems.
type Disks interface {
	// Filesystems measures those that podstead and its pods write to, that of
	// images first. With an error it is at least what could be measured.
	Filesystems(ctx context.Context) ([]pod.Filesystem, error)
}

// GoodImages keeps which images the containers of each pod ran well, by
// "namespace/name" and container. It may be lost: then the images of former
// versions may be removed.
type GoodImages interface {
	Load() (map[string]map[string]pod.RunImages, error)
	Save(images map[string]map[string]pod.RunImages) error
}

// Sandboxes makes what the containers of a pod share, except its network,
// cgroup and volumes.
type Sandboxes interface {
	// Prepare makes the sandbox of an instance or finds it made. netNS is
	// what Network.Ensure returned.
	Prepare(ctx context.Context, i pod.Instance, uid types.UID, p *corev1.Pod, net pod.Attachment) (pod.Sandbox, error)
	// List returns every sandbox on the host, ready or not.
	List(ctx context.Context) ([]pod.Sandbox, error)
	// Remove takes a sandbox away. A sandbox that is not there is no error.
	Remove(ctx context.Context, uid types.UID) error
}

// Network gives pods their network namespaces.
type Network interface {
	Ensure(ctx context.Context, uid types.UID, p *corev1.Pod) (pod.Attachment, error)
	Remove(ctx context.Context, uid types.UID) error
	// List names the pods that have a namespace.
	List(ctx context.Context) ([]types.UID, error)
	// Set makes the host's network do what is wanted for all pods, and keeps
	// it so. Until the first call what a former podstead set stays.
	Set(ctx context.Context, wanted pod.NetworkConfig) error
	// Listeners finds the sockets that hold any of the ports on the host's
	// network, whatever their address and protocol.
	Listeners(ctx context.Context, ports ...int32) ([]pod.Listener, error)
}

// Probes makes probes. It hands verdicts to Agent.Judged.
type Probes interface {
	// Set replaces the probes that are made. It does not wait. Targets that
	// stay as they are go on undisturbed.
	Set(targets []pod.ProbeTarget)
}

// Hooks runs lifecycle hooks.
type Hooks interface {
	// Run returns when the hook has ended, with an error that says why it
	// failed. The hook ends with ctx.
	Run(ctx context.Context, container string, spec *corev1.Container, h *corev1.LifecycleHandler, host string) error
}

// Verdicts keeps what probes and hooks said over restarts of podstead, not of
// the host: it may be lost, then everything is asked anew.
type Verdicts interface {
	Load() ([]pod.ProbeVerdict, error)
	Save(verdicts []pod.ProbeVerdict) error
}

// Volumes makes and mounts what pods mount.
type Volumes interface {
	// Prepare makes the pod's volumes; *pod.Refused when one can't be had
	// now (a hostPath of the wrong type).
	Prepare(ctx context.Context, uid types.UID, p *corev1.Pod) error
	// Mounts resolves the mounts of one container, sub paths included.
	Mounts(ctx context.Context, uid types.UID, p *corev1.Pod, container string) ([]pod.Mount, error)
	// Usage is the bytes that each emptyDir volume on disk takes, by name.
	Usage(ctx context.Context, uid types.UID) (map[string]int64, error)
	// Remove unmounts and deletes the pod's own volumes; never anything
	// below a hostPath.
	Remove(ctx context.Context, uid types.UID) error
	// List names the pods that have volumes.
	List(ctx context.Context) ([]types.UID, error)
}

// Cgroups holds pods to their limits.
type Cgroups interface {
	// Path is where a pod's cgroup is, such as /podstead/burstable/podUID.
	Path(uid types.UID, p *corev1.Pod) string
	// Prepare makes the pod's cgroup with its limits.
	Prepare(ctx context.Context, uid types.UID, p *corev1.Pod) error
	// Container says what the limits of one container are.
	Container(p *corev1.Pod, c *corev1.Container) (r *specs.LinuxResources, oomScoreAdj int)
	// Grow raises the pod's limits to cover want wherever they are below it;
	// Shrink lowers them to want. Around the resizing of its containers they
	// keep every parent at least as large as its children.
	Grow(ctx context.Context, uid types.UID, want *corev1.Pod) error
	Shrink(ctx context.Context, uid types.UID, want *corev1.Pod) error
	// Check puts back what was taken from our cgroups, such as controllers,
	// and tells whether anything was: limits that were set before are lost.
	Check(ctx context.Context) (restored bool, err error)
	// MemoryUsage is the bytes that a cgroup can't give back: usage less
	// inactive page cache.
	MemoryUsage(ctx context.Context, path string) (int64, error)
	// Remove ends every process left in the pod's cgroup and removes it from
	// every hierarchy. A cgroup that is not there is no error.
	Remove(ctx context.Context, uid types.UID) error
	// List names the pods that have a cgroup.
	List(ctx context.Context) ([]types.UID, error)
}

// Logs keeps the output of containers.
type Logs interface {
	// Prune deletes the logs of all runs of a container but the two newest;
	// path is the LogPath of any of them.
	Prune(ctx context.Context, path string) error
	// List returns the pods whose logs there are, by the uid that their folder
	// bears, also those of others who keep logs there.
	List(ctx context.Context) (map[types.UID]pod.Key, error)
	// Remove deletes the logs of an instance.
	Remove(ctx context.Context, i pod.Instance, uid types.UID) error
}
