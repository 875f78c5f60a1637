package pod

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Snapshot is everything that readers (api, metrics, systemd status) may see.
// It is immutable: the agent publishes a new one, nobody changes an old one.
type Snapshot struct {
	// Version rises with every change.
	Version uint64
	Time    time.Time
	Node    Node
	// Pods are sorted by key, older instances first.
	Pods []View
	// Workloads are sorted by kind, then key.
	Workloads []WorkloadView
	// Services are sorted by key.
	Services []ServiceView
	// Events are the latest events, oldest first, at most 1,000.
	Events   []corev1.Event
	Sources  []SourceState
	Runtime  RuntimeState
	Draining Draining
	// Images in use or being pulled.
	Images []ImageView
	// Disk is how the file systems are.
	Disk Disk
	// Counters are what was counted since podstead was started.
	Counters Counters
}

// ReasonShutdown is the reason of a pod that does not run, and of a node that is
// not ready, since the server is drained, as Kubernetes names it.
const ReasonShutdown = "NodeShutdown"

// Draining tells that every pod is being stopped, or is; its zero value that
// they are not.
type Draining struct {
	// Reason is in words, such as "the server shuts down".
	Reason string `json:"reason"`
	// Since is by the wall clock.
	Since time.Time `json:"since"`
}

// RuntimeState is what is known of containerd.
type RuntimeState struct {
	Up      bool      `json:"up"`
	Mode    string    `json:"mode"`
	Address string    `json:"address"`
	Version string    `json:"version,omitempty"`
	Error   string    `json:"error,omitempty"`
	Since   time.Time `json:"since"`
	// Warnings tell of known vulnerable versions and of limits that this
	// host can't enforce.
	Warnings []string `json:"warnings,omitempty"`
}

// View is one pod instance as people and programs see it.
type View struct {
	// Pod is in the shape of the Kubernetes API, status included.
	Pod      *corev1.Pod
	Instance Instance
	Origin   Origin
	// Problems of its manifest (the running pod is then an older version) and
	// conflicts.
	Problems []Problem
	// Notes say what holds the pod back or what could not be applied, in
	// words: "memory limit 64Mi is below the 80Mi in use: held".
	Notes      []string
	Containers []ContainerView
}

// ContainerView is what the Kubernetes API has no place for.
type ContainerView struct {
	Name       string
	ID         string
	Role       Role
	PID        int
	CgroupPath string
	LogPath    string
	// LastLogTail are the last lines of output of the run that ended last.
	LastLogTail []string
	// NextStart is when the back-off ends, by the wall clock; zero when none.
	NextStart time.Time
	// Logger tells how the container's logger is: "" when well.
	Logger string
	// OOMKills counts the runs before this one that the kernel ended for want
	// of memory, as far as podstead saw them.
	OOMKills uint64
}

// ImageView is one image.
type ImageView struct {
	Ref      string
	Digest   string
	Pulling  bool
	Progress ImageProgress
	Error    string
	NextTry  time.Time
}

// Find returns the newest instance of a key.
func (s *Snapshot) Find(key Key) (View, bool) {
	found, ok := View{}, false
	for _, v := range s.Pods {
		if v.Instance.Key == key && v.Instance.Number >= found.Instance.Number {
			found, ok = v, true
		}
	}
	return found, ok
}
