// Package metrics serves Prometheus: under the names of podstead's own, of the
// kubelet, of cAdvisor and of kube-state-metrics, so that dashboards and rules
// made for Kubernetes work.
//
// What is shown comes from the agent's snapshot. Statistics that are read
// during a scrape are shared by all scrapes of the same second, have a
// deadline of one second and fall back to the reading before; what takes
// longer is measured beside the scrapes. So nothing that a scrape does hangs.
//
// A page is written one metric after the other, and not collected whole as a
// prometheus.Registry does: 100 pods make 15,000 rows, which would take more
// memory at once than all else that podstead keeps.
package metrics

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

//go:generate go run ./internal/metricspage ../docs/metrics.md

// DefaultAddress is where metrics are served unless something else is
// configured: on the loopback, since pages tell names of pods and images.
const DefaultAddress = "127.0.0.1:9255"

// Snapshots gives the newest immutable snapshot.
type Snapshots interface{ Latest() *pod.Snapshot }

// Stats reads what is in use now. It is asked by two goroutines at
// a time at most.
type Stats interface {
	// Cgroup reads the cgroup at a path relative to the hierarchies.
	Cgroup(ctx context.Context, path string) (pod.CgroupStats, error)
	// PodCgroup reads of a pod's cgroup what its rows show: processor time,
	// throttling, the common numbers of memory, kills, tasks and pressure. The
	// others are not measured.
	PodCgroup(ctx context.Context, path string) (pod.CgroupStats, error)
	// CgroupUsage reads of it the processor time and the working set, and nothing
	// else.
	CgroupUsage(ctx context.Context, path string) (pod.CgroupStats, error)
	// Network reads the interfaces that a process sees, but for the loopback.
	Network(ctx context.Context, pid int) ([]pod.InterfaceStats, error)
	// Node reads what the whole server uses.
	Node(ctx context.Context) (pod.NodeStats, error)
}

// Disk measures what takes time. It is asked by one goroutine at a time, at
// most once a minute, never during a scrape.
type Disk interface {
	// Pod measures layers, logs and volumes of a pod.
	Pod(ctx context.Context, p *pod.View) (pod.DiskStats, error)
	// Processes counts what the processes of a cgroup hold open.
	Processes(ctx context.Context, path string) (pod.ProcessStats, error)
	// Filesystem describes the file system that containers write to.
	Filesystem(ctx context.Context) (pod.FilesystemStats, error)
}

// Limits tells the limits of a container as its OCI spec has them.
type Limits interface {
	Container(p *corev1.Pod, c *corev1.Container) (*specs.LinuxResources, int)
}

// Probes reports on all probes, those of a pod in a row; the result is the
// caller's.
type Probes interface{ All() []pod.ProbeReport }

// Facts are what does not change while podstead runs.
type Facts struct {
	// Version, Commit and Go are those of this build.
	Version, Commit, Go string
	// Kernel is the release of the kernel, OS the name of the distribution.
	Kernel, OS string
	// Pressure tells whether the host counts pressure.
	Pressure bool
}

// Config is what a Server is made of.
type Config struct {
	// Address is where it listens, as HOST:PORT; DefaultAddress if empty.
	Address string
	// WebConfigFile is a file of the Prometheus exporter-toolkit with TLS,
	// users and a rate limit; none if empty. It is read for each connection.
	WebConfigFile string
	// Drop names labels of the rows of containers that are left out: id, name.
	Drop []string
	// MaxSeries bounds the series of one page: above it the optional metrics
	// are left out, each as a whole; 50,000 if 0.
	MaxSeries int

	Snapshots Snapshots
	Stats     Stats
	Disk      Disk
	Limits    Limits
	Probes    Probes // nil when nothing is probed
	Facts     Facts
	// Alive asks the agent whether it still works.
	Alive func(ctx context.Context) error
	// Report is told when the server's state changes; nil for nobody. It must
	// not block.
	Report func(Status)
}

// Status is how the server is.
type Status struct {
	Address string `json:"address"`
	// Serving tells that it answers; Error is why it does not.
	Serving bool   `json:"serving"`
	Error   string `json:"error,omitempty"`
}

// Server serves metrics and the health of podstead.
type Server struct {
	cfg     Config
	drop    map[string]bool
	sampler *sampler
	usage   *sampler
	meter   *meter
	process *prometheus.Registry
	slots   chan struct{}
	rows    sync.Pool // of *rows

	mu     sync.Mutex
	status Status         // guarded by mu
	series map[string]int // of each page, last time; guarded by mu
	// dropped series were left out so far, refused are scrapes.
	dropped, refused atomic.Uint64
}

// Status returns how the server is now.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Server) setStatus(st Status) {
	s.mu.Lock()
	changed := s.status != st
	s.status = st
	s.mu.Unlock()
	if changed && s.cfg.Report != nil {
		s.cfg.Report(st)
	}
}

// view puts together what a scrape of a page reads. ctx carries values only:
// what is read is shared with others.
func (s *Server) view(ctx context.Context, p *page) *view {
	now := time.Now()
	v := &view{cfg: &s.cfg, snap: s.cfg.Snapshots.Latest(), now: now, server: s}
	switch {
	case p.stats:
		v.stats = s.sampler.get(ctx, now)
	case p.usage:
		v.stats = s.usage.get(ctx, now)
	}
	if p.disk {
		v.disk = s.meter.get(now)
	}
	if p.stats || p.usage {
		v.findSubjects(p.limits)
	}
	if p.probes && s.cfg.Probes != nil {
		v.probes = s.cfg.Probes.All()
	}
	return v
}
