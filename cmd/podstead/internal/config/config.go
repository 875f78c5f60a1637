// Package config reads podstead's configuration file: strictly, with every
// error at once, and each with its line.
package config

import (
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The type of the configuration file.
const (
	APIVersion = "podstead.dev/v1alpha1"
	Kind       = "Configuration"
)

// Configuration is the content of the file. Fields marked reload:"live" are
// taken over by SIGHUP, the others by a restart of podstead, which no
// container notices.
type Configuration struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`

	// NodeName is what pods see as spec.nodeName; the host's name by default.
	NodeName string `yaml:"nodeName"`
	Node     Node   `yaml:"node"`
	// StateDir keeps what can't be observed again.
	StateDir string `yaml:"stateDir"`
	// RunDir holds what lives until the next boot.
	RunDir string `yaml:"runDir"`
	// LogDir gets <namespace>_<pod>_<uid>/<container>/<n>.log.
	LogDir string `yaml:"logDir"`
	// ContainerLogsDir gets links to the logs.
	ContainerLogsDir string `yaml:"containerLogsDir"`
	// Socket is where the API is served.
	Socket string `yaml:"socket"`
	// SocketGroup is a group, by name or number, whose members may use the
	// API; only root may when it is empty.
	SocketGroup string `yaml:"socketGroup"`
	// ImagesDir is watched for image archives.
	ImagesDir string `yaml:"imagesDir"`

	Runtime Runtime  `yaml:"runtime"`
	Sources []Source `yaml:"sources" reload:"live"`
	Restart Restart  `yaml:"restart"`
	Logs    Logs     `yaml:"logs"`
	Network Network  `yaml:"network"`

	// CgroupRoot is the folder of all pods in each cgroup hierarchy.
	CgroupRoot string `yaml:"cgroupRoot"`
	// PidsLimit is how many processes and threads a pod may have.
	PidsLimit int64 `yaml:"pidsLimit"`
	// ImageGC bounds what images take of the disk.
	ImageGC ImageGC `yaml:"imageGC"`
	// Reserved is kept for the host and not given to pods.
	Reserved    Reserved    `yaml:"reserved"`
	Parallelism Parallelism `yaml:"parallelism"`
	// OnExit is keep (pods outlive podstead) or drain (they are stopped).
	OnExit   string   `yaml:"onExit" reload:"live"`
	Shutdown Shutdown `yaml:"shutdown"`
	Metrics  Metrics  `yaml:"metrics"`
	Log      Log      `yaml:"log"`
}

// Node says what this server is to manifests that are for several servers.
type Node struct {
	// Labels are those by which nodeSelector and node affinity choose, beside
	// the ones that every server has.
	Labels map[string]string `yaml:"labels"`
}

// The values of Configuration.OnExit.
const (
	OnExitKeep  = "keep"
	OnExitDrain = "drain"
)

// Shutdown says what is done with pods when the server shuts down.
type Shutdown struct {
	// Inhibitor lets logind wait for pods before anything else is stopped.
	Inhibitor bool `yaml:"inhibitor"`
	// GracePeriod bounds the grace of all pods; 0 leaves them running until
	// the end.
	GracePeriod Duration `yaml:"gracePeriod" reload:"live"`
	// GracePeriodCriticalPods is the last part of it, for critical pods alone.
	GracePeriodCriticalPods Duration `yaml:"gracePeriodCriticalPods" reload:"live"`
}

// Metrics says where Prometheus is served.
type Metrics struct {
	Enabled bool `yaml:"enabled"`
	// Address is HOST:PORT; the host may be left out for all addresses.
	Address string `yaml:"address"`
	// WebConfigFile is a file of the Prometheus exporter-toolkit with TLS,
	// users and a rate limit.
	WebConfigFile string `yaml:"webConfigFile"`
	// Drop names labels that are left out: id, name.
	Drop []string `yaml:"drop"`
}

// Runtime says which containerd is used.
type Runtime struct {
	// Mode is own (podstead's containerd) or external (another's).
	Mode string `yaml:"mode"`
	// Address is containerd's socket.
	Address string `yaml:"address"`
	// Namespace is containerd's namespace for podstead's containers.
	Namespace string `yaml:"namespace"`
	// Containerd is the program to start in mode own; its shim lies beside it.
	Containerd string `yaml:"containerd"`
	Runc       string `yaml:"runc"`
	Logger     string `yaml:"logger"`
	Pause      string `yaml:"pause"`
	// Names is the program that answers pods' questions for names.
	Names string `yaml:"names"`
	// Root and State are containerd's folders in mode own.
	Root  string `yaml:"root"`
	State string `yaml:"state"`
	// HostsDir has a folder with a hosts.toml for each registry.
	HostsDir string `yaml:"hostsDir"`
}

// The values of Runtime.Mode.
const (
	ModeOwn      = "own"
	ModeExternal = "external"
)

// Source is where manifests come from: a directory or a URL.
type Source struct {
	// Name is unique and stays when the source changes.
	Name      string     `yaml:"name"`
	Directory *Directory `yaml:"directory"`
	URL       *URL       `yaml:"url"`
	// Namespaces that its pods may be in; empty for all.
	Namespaces []string `yaml:"namespaces"`
	// PodSecurity is privileged, baseline or restricted.
	PodSecurity string `yaml:"podSecurity"`
	// AllowHostPorts and AllowHostPaths lift what PodSecurity forbids.
	AllowHostPorts []PortRange `yaml:"allowHostPorts"`
	AllowHostPaths []string    `yaml:"allowHostPaths"`
	// MaxPods and MaxContainers bound what the source may want; 0 for no
	// bound.
	MaxPods       int `yaml:"maxPods"`
	MaxContainers int `yaml:"maxContainers"`
}

// Directory is a folder of manifests.
type Directory struct {
	Path string `yaml:"path"`
	// Rescan is how often it is read even if nothing was seen to change.
	Rescan Duration `yaml:"rescan"`
	// RequireMount holds the folder for unreadable unless it is a mount point.
	RequireMount bool `yaml:"requireMount"`
}

// URL is an address that answers with manifests.
type URL struct {
	URL      string   `yaml:"url"`
	Interval Duration `yaml:"interval"`
	// CA is a file of certificates that the server's must come from.
	CA string `yaml:"ca"`
	// Cert and Key are the client's own.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// HeadersFile has lines of "Name: value" that are sent along.
	HeadersFile string `yaml:"headersFile"`
	// AllowEmpty lets an answer without pods stop all of the source's.
	AllowEmpty bool `yaml:"allowEmpty"`
	// MaxBytes bounds an answer.
	MaxBytes Bytes `yaml:"maxBytes"`
}

// Restart sets the back-off between runs of a container.
type Restart struct {
	Base Duration `yaml:"base"`
	Max  Duration `yaml:"max"`
	// Reset is how long a container must run to be started at once again.
	Reset Duration `yaml:"reset"`
	// PerSecond is how many failed containers are restarted per second on the
	// whole server, Burst how many at once.
	PerSecond int `yaml:"perSecond"`
	Burst     int `yaml:"burst"`
}

// Logs sets how containers' logs are rotated.
type Logs struct {
	MaxSize  Bytes `yaml:"maxSize"`
	MaxFiles int   `yaml:"maxFiles"`
}

// Network sets how pods are connected.
type Network struct {
	// PodCIDRs are the ranges of pods' addresses, at most one per family.
	PodCIDRs []netip.Prefix `yaml:"podCIDRs"`
	// ServiceCIDRs are the ranges of Services' addresses, at most one per
	// family, apart from those of pods.
	ServiceCIDRs []netip.Prefix `yaml:"serviceCIDRs"`
	// Masquerade hides pods behind the host's address.
	Masquerade bool `yaml:"masquerade"`
	// AllowMetadataService lets pods reach the metadata services of clouds.
	AllowMetadataService bool `yaml:"allowMetadataService"`
	// LoopbackForwarder serves TCP hostPorts on [::1] too.
	LoopbackForwarder bool `yaml:"loopbackForwarder"`
}

// ImageGC says when unused images are removed. The names and defaults are the
// kubelet's.
type ImageGC struct {
	// HighThresholdPercent of the disk in use begins the removal, which ends at
	// LowThresholdPercent; 100 for never.
	HighThresholdPercent int `yaml:"highThresholdPercent"`
	LowThresholdPercent  int `yaml:"lowThresholdPercent"`
	// MinimumAge is how long an image must have been unused to be removed.
	MinimumAge Duration `yaml:"minimumAge"`
	// MaximumAge is after how long one is removed anyway; 0 for never.
	MaximumAge Duration `yaml:"maximumAge"`
	// Pinned are patterns of images that are never removed.
	Pinned []string `yaml:"pinned"`
}

// Reserved is what the host keeps for itself.
type Reserved struct {
	CPU    Quantity `yaml:"cpu"`
	Memory Quantity `yaml:"memory"`
	// PIDs are processes and threads.
	PIDs int64 `yaml:"pids"`
}

// Parallelism bounds what is done at once.
type Parallelism struct {
	Starts int `yaml:"starts"`
	Pulls  int `yaml:"pulls"`
}

// Log sets podstead's own log.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level" reload:"live"`
	// Format is auto (console on a terminal, else json), console or json.
	Format string `yaml:"format"`
}

// Duration is a time such as 10s or 1m30s.
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

func (d Duration) String() string { return time.Duration(d).String() }

// Bytes is a size such as 10Mi.
type Bytes int64

// UnmarshalText reads a Kubernetes quantity of whole bytes.
func (b *Bytes) UnmarshalText(text []byte) error {
	q, err := resource.ParseQuantity(string(text))
	*b = Bytes(q.Value())
	return err
}

func (b Bytes) String() string { return resource.NewQuantity(int64(b), resource.BinarySI).String() }

// Quantity is a Kubernetes quantity such as 500m or 1Gi.
type Quantity struct{ resource.Quantity }

// UnmarshalText reads a Kubernetes quantity.
func (q *Quantity) UnmarshalText(text []byte) error {
	v, err := resource.ParseQuantity(string(text))
	q.Quantity = v
	return err
}
