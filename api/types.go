package api

import (
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// Version tells which podstead this is.
type Version struct {
	// Version is a release such as v0.1.0, or "devel".
	Version string `json:"gitVersion"`
	Commit  string `json:"gitCommit,omitempty"`
	Go      string `json:"goVersion"`
	// Platform is OS/architecture.
	Platform string `json:"platform"`
}

// Status is the answer of /podstead/v1/status.
type Status struct {
	Version Version          `json:"version"`
	Node    Node             `json:"node"`
	Runtime pod.RuntimeState `json:"runtime"`
	Sources []Source         `json:"sources"`
	Images  []Image          `json:"images"`
	// Requested is what pods request of cpu and memory, those aside that wait
	// for room.
	Requested corev1.ResourceList `json:"requested,omitempty"`
	// Disk tells how full the file systems are.
	Disk pod.Disk `json:"disk"`
	// Pods counts pods by phase.
	Pods map[corev1.PodPhase]int `json:"pods"`
	// Workloads counts Deployments, DaemonSets and ReplicaSets of their own, by
	// kind; Services counts those.
	Workloads map[pod.Kind]int `json:"workloads,omitempty"`
	Services  int              `json:"services"`
	// Troubles are the workloads that are not as their manifests say.
	Troubles []WorkloadTrouble `json:"troubles,omitempty"`
	Draining pod.Draining      `json:"draining,omitzero"`
	// Configuration tells of a configuration file that was not taken over.
	Configuration Configuration `json:"configuration"`
	// Metrics tells how the serving of metrics is, nil when it is off.
	Metrics *Metrics `json:"metrics,omitempty"`
	// Time is when this was so.
	Time time.Time `json:"time"`
}

// Configuration tells how the configuration file is.
type Configuration struct {
	File string `json:"file"`
	// Problems kept the file from being used when it was read last; the
	// values before stay in force.
	Problems []pod.Problem `json:"problems,omitempty"`
	// NeedRestart names the fields that were changed in the file and are not
	// in force until podstead is restarted.
	NeedRestart []string `json:"needRestart,omitempty"`
}

// Metrics tells where Prometheus is served.
type Metrics struct {
	Address string `json:"address"`
	// Serving tells that it answers; Error is why it does not.
	Serving bool   `json:"serving"`
	Error   string `json:"error,omitempty"`
}

// Node is the server that podstead runs on.
type Node struct {
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Labels      map[string]string   `json:"labels,omitempty"`
	HostIPs     []string            `json:"hostIPs,omitempty"`
	Capacity    corev1.ResourceList `json:"capacity,omitempty"`
	Allocatable corev1.ResourceList `json:"allocatable,omitempty"`
	BootID      string              `json:"bootID"`
}

// Source is a source of manifests and how many objects of each kind it has,
// those that conflict with others and those for other servers as well.
type Source struct {
	pod.SourceState
	Objects map[pod.Kind]int `json:"objects"`
}

// Image is an image in use or on its way.
type Image struct {
	Ref     string `json:"ref"`
	Digest  string `json:"digest,omitempty"`
	Pulling bool   `json:"pulling,omitempty"`
	// Done and Total are bytes, LayersDone and Layers count layers.
	Done       int64     `json:"done,omitempty"`
	Total      int64     `json:"total,omitempty"`
	LayersDone int       `json:"layersDone,omitempty"`
	Layers     int       `json:"layers,omitempty"`
	Error      string    `json:"error,omitempty"`
	NextTry    time.Time `json:"nextTry,omitzero"`
}

// StoredImageList is the answer of /podstead/v1/images.
type StoredImageList struct {
	Items []pod.StoredImage `json:"items"`
}

// Details is a pod with everything that the Kubernetes API has no place for.
type Details struct {
	Pod        *corev1.Pod        `json:"pod"`
	Instance   int                `json:"instance"`
	Origin     pod.Origin         `json:"origin"`
	Problems   []pod.Problem      `json:"problems,omitempty"`
	Notes      []string           `json:"notes,omitempty"`
	Containers []ContainerDetails `json:"containers"`
}

// ContainerDetails are the details of one container.
type ContainerDetails struct {
	Name        string    `json:"name"`
	ID          string    `json:"id,omitempty"`
	Role        pod.Role  `json:"role"`
	PID         int       `json:"pid,omitempty"`
	CgroupPath  string    `json:"cgroupPath,omitempty"`
	LogPath     string    `json:"logPath,omitempty"`
	LastLogTail []string  `json:"lastLogTail,omitempty"`
	NextStart   time.Time `json:"nextStart,omitzero"`
	Logger      string    `json:"logger,omitempty"`
	Probes      []Probe   `json:"probes,omitempty"`
	OOMKills    uint64    `json:"oomKills,omitempty"`
}

// DetailsList is the answer of /podstead/v1/pods.
type DetailsList struct {
	Items []Details `json:"items"`
}

// PodMetrics is what the containers of a pod use, in the shape of
// metrics.k8s.io/v1beta1.
type PodMetrics struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Timestamp         metav1.Time `json:"timestamp"`
	// Window is the time over which CPU use is averaged.
	Window     metav1.Duration    `json:"window"`
	Containers []ContainerMetrics `json:"containers"`
}

// ContainerMetrics has the keys cpu (cores) and memory (bytes, the working
// set).
type ContainerMetrics struct {
	Name  string              `json:"name"`
	Usage corev1.ResourceList `json:"usage"`
}

// PodMetricsList is the answer of /apis/metrics.k8s.io/v1beta1/pods.
type PodMetricsList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []PodMetrics `json:"items"`
}

// NodeMetrics is what the server uses, in the shape of
// metrics.k8s.io/v1beta1: cpu (cores) and memory (bytes, the working set).
type NodeMetrics struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Timestamp         metav1.Time `json:"timestamp"`
	// Window is the time over which CPU use is averaged.
	Window metav1.Duration     `json:"window"`
	Usage  corev1.ResourceList `json:"usage"`
}

// NodeMetricsList is the answer of /apis/metrics.k8s.io/v1beta1/nodes.
type NodeMetricsList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []NodeMetrics `json:"items"`
}

// LogRequest says which lines of a container's log are wanted.
type LogRequest struct {
	// Dir is the folder that holds the container's log files.
	Dir string
	// Attempt is the newest run of the container, counted from 0.
	Attempt int
	// Previous asks for the run before the newest.
	Previous bool
	// Follow goes on with what is written later, also by later runs.
	Follow bool
	// TailLines is how many lines from the end are wanted; nil for all.
	TailLines *int64
	// Since leaves out older lines; zero for all.
	Since time.Time
	// Timestamps puts the time before each line.
	Timestamps bool
	// LimitBytes ends the answer; 0 for no limit.
	LimitBytes int64
	// Ended tells a follower that nothing more will be written.
	Ended func() bool
}

// TerminalSize is the size of a terminal in characters.
type TerminalSize struct {
	Width  uint16
	Height uint16
}

// ExecRequest is a command to run in a container.
type ExecRequest struct {
	Command []string
	// TTY gives the command a terminal; Stderr is then not used.
	TTY bool
	// Stdin is nil when the command gets no input.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Resize brings new sizes of the terminal; it is closed at the end.
	Resize <-chan TerminalSize
}
