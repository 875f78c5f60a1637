package pod

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Role tells what a container is to its pod.
type Role string

// The roles of containers.
const (
	// RoleInit runs to completion before the next container starts.
	RoleInit Role = "init"
	// RoleSidecar is an init container with restartPolicy Always.
	RoleSidecar Role = "sidecar"
	// RoleApp is one of spec.containers.
	RoleApp Role = "app"
	// RolePause holds the shared PID namespace of a pod; it is not in any
	// manifest and its Name is PauseName.
	RolePause Role = "pause"
)

// PauseName is the name of pause containers. It is no valid container name,
// so no manifest can take it.
const PauseName = "PAUSE"

// ContainerState is what the runtime says of one container.
type ContainerState string

// The states of containers. The order of life is Created, Running, Exited,
// Dead; a container may skip Running.
const (
	// StateUnknown: the runtime could not be asked. Nothing is decided on it.
	StateUnknown ContainerState = "unknown"
	// StateCreated: a record exists, its process was never started.
	StateCreated ContainerState = "created"
	// StateRunning: its init process lives.
	StateRunning ContainerState = "running"
	// StateExited: its init process ended; what it left (exit code, OOM
	// count, messages) is still to be collected by Reap.
	StateExited ContainerState = "exited"
	// StateDead: collected; Exit is set, no process is left, the cgroup is
	// empty. Only now a next attempt may start.
	StateDead ContainerState = "dead"
)

// StopScope tells how much a stop concerns.
type StopScope string

// A stop of StopPod condemns the whole instance and is carried to its end
// whatever the manifests say meanwhile; StopContainer concerns one container.
const (
	StopPod       StopScope = "pod"
	StopContainer StopScope = "container"
)

// Stopping is the durable intent to stop a container. It is written to the
// container's record before the first signal, so that grace is counted on
// across restarts of podstead.
type Stopping struct {
	Since Stamp     `json:"since"`
	Scope StopScope `json:"scope"`
	// Signalled is zero while the intent is written and the signal is not
	// known to be sent: the preStop hook runs, or it is sent, perhaps again.
	Signalled Stamp `json:"signalled"`
	// Grace is what the stop was begun with.
	Grace time.Duration `json:"grace"`
	// Failure tells that the container failed (a probe, its postStart hook):
	// it is restarted by its policy, with back-off, as if it had ended itself.
	Failure bool `json:"failure,omitempty"`
	// Reason is shown to people, such as "its manifest was removed".
	Reason string `json:"reason"`
}

// Exit is how a run of a container ended.
type Exit struct {
	Code int `json:"code"`
	// Signal that ended it, 0 when none did.
	Signal int `json:"signal,omitempty"`
	// Reason as in Kubernetes: Completed, Error, OOMKilled, StartError,
	// DeadlineExceeded, ContainerStatusUnknown.
	Reason string `json:"reason"`
	// Message is the termination message, or why a start failed; ≤ 4 KiB.
	Message string `json:"message,omitempty"`
	// LogTail holds its last lines of output; ≤ 10 lines, ≤ 2 KiB.
	LogTail []string `json:"logTail,omitempty"`
	At      Stamp    `json:"at"`
}

// Exit reasons, as Kubernetes names them.
const (
	ExitCompleted = "Completed"
	ExitError     = "Error"
	ExitOOMKilled = "OOMKilled"
	// ExitStartError: the container was made but its process could not be
	// started (no such file, not executable); its code is 128.
	ExitStartError = "StartError"
	// ExitUnknown: it ended, nobody can tell how; its code is 137.
	ExitUnknown = "ContainerStatusUnknown"
)

// Container is one run of a container of a pod, as observed. Labels and
// extensions of its record in containerd hold everything that is not the
// state of its process, so it is whole again after any restart.
type Container struct {
	ID       string
	Instance Instance
	UID      types.UID
	Name     string
	Role     Role
	// Attempt counts the runs of this container in its instance from 0.
	Attempt int
	// Failures is the number of back-off steps that had been taken when this
	// run was started: 0 for a first start or after a reset.
	Failures int
	// Sandbox is the ID of the sandbox that it runs in.
	Sandbox string
	// Pod is the pod as it was wanted when this run was started or last
	// amended, defaulted; nil when the record can't be read.
	Pod    *corev1.Pod
	Origin Origin
	// Image is the digest that its image name was resolved to.
	Image Image

	State    ContainerState
	PID      int
	Created  Stamp
	Started  Stamp
	Stopping *Stopping
	Exit     *Exit
	// CgroupPath is the container's cgroup, relative to each hierarchy.
	CgroupPath string
	// LogPath is the CRI log file of this run.
	LogPath string
	// Layer tells that its writable layer is there.
	Layer bool
	// Logger says what is wrong with the writing of its output, "" when
	// nothing is.
	Logger string
}

// Live tells whether processes of the container may exist.
func (c Container) Live() bool {
	return c.State == StateRunning || c.State == StateExited || c.State == StateUnknown
}

// Spec returns the container's own part of its recorded pod, nil for pause
// containers and unreadable records.
func (c Container) Spec() *corev1.Container { return ContainerSpec(c.Pod, c.Name) }

// ContainerSpec finds a container or init container of a pod by name.
func ContainerSpec(p *corev1.Pod, name string) *corev1.Container {
	if p == nil {
		return nil
	}
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		if i := slices.IndexFunc(list, func(c corev1.Container) bool { return c.Name == name }); i >= 0 {
			return &list[i]
		}
	}
	return nil
}

// RoleOf returns the role of the named container in a pod, "" if there is
// none of that name.
func RoleOf(p *corev1.Pod, name string) Role {
	if name == PauseName {
		return RolePause
	}
	for i := range p.Spec.InitContainers {
		if p.Spec.InitContainers[i].Name == name {
			return InitRole(&p.Spec.InitContainers[i])
		}
	}
	if ContainerSpec(p, name) != nil {
		return RoleApp
	}
	return ""
}

// InitRole tells sidecars from init containers.
func InitRole(c *corev1.Container) Role {
	if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
		return RoleSidecar
	}
	return RoleInit
}

// Image is an image that is present, unpacked and whole.
type Image struct {
	// Ref is the normalised name, such as docker.io/library/nginx:1.27.
	Ref string `json:"ref"`
	// Digest is that of the image's manifest or index.
	Digest string `json:"digest"`
	// Size is what its content takes, in bytes.
	Size int64 `json:"size"`
}

// ImageProgress is how far a pull has come.
type ImageProgress struct {
	// Done and Total are bytes; Total may grow as layers become known.
	Done, Total int64
	// Layers and LayersDone count layers.
	Layers, LayersDone int
}

// Sandbox is what the containers of one instance share: pinned namespaces,
// /dev/shm, the folder of podstead-made files, the pod's cgroup and volumes.
type Sandbox struct {
	Instance Instance
	UID      types.UID
	// ID changes whenever the sandbox had to be made anew (a reboot): init
	// containers then run again.
	ID string
	// Ready tells that all of it is there.
	Ready bool
	// Created is when it was made; zero where that was not recorded.
	Created Stamp
	// NetNS, IPCNS and UTSNS are paths of pinned namespaces; empty where the
	// pod shares the host's.
	NetNS, IPCNS, UTSNS string
	// ShmDir is mounted at /dev/shm; empty where the host's IPC is shared.
	ShmDir string
	// FilesDir is a small tmpfs for files that podstead makes for this pod
	// (termination logs, logger status).
	FilesDir string
	// EtcDir holds the files hosts, hostname and resolv.conf, which every
	// container finds in /etc; empty for a sandbox that was made without.
	EtcDir string
	// Notes say what the sandbox lacks of what was asked for, for people.
	Notes []string
	// Hostname is the pod's host name.
	Hostname string
	// IPs are the pod's addresses, host's for hostNetwork, none for a pod
	// that has loopback only.
	IPs []string
}

// Mount is one bind mount into a container, resolved by package volumes.
type Mount struct {
	// Source is a path on the host, already safe to bind.
	Source string
	// Target is the absolute path in the container.
	Target   string
	ReadOnly bool
	// RecursiveReadOnly asks for MOUNT_ATTR_RDONLY over submounts.
	RecursiveReadOnly bool
	// Propagation is private, rslave or rshared.
	Propagation string
}

// Node is the server, as far as pods can see it.
type Node struct {
	// ID is stable for the life of the installation.
	ID   string
	Name string
	// Labels are those by which nodeSelector and affinity choose.
	Labels map[string]string
	// HostIPs are the host's addresses for status.hostIPs, primary first;
	// empty while the host has none.
	HostIPs []string
	// Capacity and Allocatable of cpu and memory.
	Capacity    corev1.ResourceList
	Allocatable corev1.ResourceList
	// BootID is the kernel's random boot id.
	BootID string
}

// Refused says that something a pod asks for can't be had on this host now.
// It is retried for ever with back-off and consumes no restart.
type Refused struct {
	// Reason as Kubernetes puts it into waiting.reason, such as
	// CreateContainerConfigError or InvalidImageName.
	Reason  string
	Message string
}

func (r *Refused) Error() string { return r.Message }
