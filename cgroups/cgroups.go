// Package cgroups holds pods to the CPU, memory and processes that their
// manifests allow, in a tree of its own at the root of every cgroup hierarchy
// of the host. It works the same on cgroup v2, on v1 and on hosts that have
// both; what a host can't enforce is said, never skipped in silence.
package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// Config says where cgroups are made and what the node has.
type Config struct {
	// Root is the tree of ours in each hierarchy; "/podstead" if empty.
	Root string
	// Mountpoint is where cgroups are mounted; "/sys/fs/cgroup" if empty.
	Mountpoint string
	// BlockDevices has a folder MAJOR:MINOR for each block device;
	// "/sys/dev/block" if empty.
	BlockDevices string
	// Capacity is the node's CPU and memory: the tree's weight against the
	// rest of the host, and the scale of oom_score_adj.
	Capacity corev1.ResourceList
	// MaxPIDs bounds the tasks of each pod; 1024 if 0, no bound if negative.
	MaxPIDs int64
	// TotalMemory, in bytes, and TotalPIDs, in tasks, bound what all pods may
	// have together; no bound if 0.
	TotalMemory, TotalPIDs int64
	// AllowUnenforced lets pods run whose limits this host can't enforce;
	// otherwise Prepare refuses them. Unenforced tells of them either way.
	AllowUnenforced bool
}

// Manager makes, changes, reads and removes the cgroups of pods. Its methods
// may be called at the same time for different pods.
type Manager struct {
	cfg    Config
	layout layout
	// tiers guards the settings of the tiers, which depend on all pods.
	tiers sync.Mutex
	// readers are those that nobody uses.
	readers sync.Pool
}

// New detects how the host arranges cgroups. It changes nothing.
func New(cfg Config) (*Manager, error) {
	if cfg.Root == "" {
		cfg.Root = "/podstead"
	}
	if cfg.Mountpoint == "" {
		cfg.Mountpoint = "/sys/fs/cgroup"
	}
	if cfg.BlockDevices == "" {
		cfg.BlockDevices = "/sys/dev/block"
	}
	if cfg.MaxPIDs == 0 {
		cfg.MaxPIDs = 1024
	}
	if path.Clean(cfg.Root) != cfg.Root || !path.IsAbs(cfg.Root) || cfg.Root == "/" {
		return nil, fmt.Errorf("cgroup root %q: want an absolute, clean path other than /", cfg.Root)
	}
	l, err := detect(cfg.Mountpoint)
	if err != nil {
		return nil, err
	}
	return &Manager{cfg: cfg, layout: l}, nil
}

// The tiers below the root: Guaranteed pods lie directly in it.
const (
	burstableTier  = "burstable"
	bestEffortTier = "besteffort"
	podPrefix      = "pod"
)

// Path returns a pod's cgroup, relative to each hierarchy and absolute in
// form. It depends on the pod's QoS class, which no change in place alters.
func (m *Manager) Path(uid types.UID, p *corev1.Pod) string {
	switch pod.QOSClass(p) {
	case corev1.PodQOSBurstable:
		return path.Join(m.cfg.Root, burstableTier, podPrefix+string(uid))
	case corev1.PodQOSBestEffort:
		return path.Join(m.cfg.Root, bestEffortTier, podPrefix+string(uid))
	default:
		return path.Join(m.cfg.Root, podPrefix+string(uid))
	}
}

// paths returns every path that a pod of this UID may have.
func (m *Manager) paths(uid types.UID) ([]string, error) {
	if uid == "" || strings.ContainsAny(string(uid), "/\x00") || strings.Contains(string(uid), "..") {
		return nil, fmt.Errorf("cgroup of pod %q: want a UID without slashes and dots", uid)
	}
	name := podPrefix + string(uid)
	return []string{
		path.Join(m.cfg.Root, name),
		path.Join(m.cfg.Root, burstableTier, name),
		path.Join(m.cfg.Root, bestEffortTier, name),
	}, nil
}

// inside checks that a path is that of a cgroup below our root.
func (m *Manager) inside(p string) error {
	if path.Clean(p) != p || !strings.HasPrefix(p, m.cfg.Root+"/") {
		return fmt.Errorf("cgroup %q: want a clean path below %s", p, m.cfg.Root)
	}
	return nil
}

// Container returns the limits of one container in the form of an OCI
// runtime, and its oom_score_adj. Every limit is explicit, "none" included, so
// the same value serves for a start and for a change in place. A nil
// container is the pod's pause container.
func (m *Manager) Container(p *corev1.Pod, c *corev1.Container) (*specs.LinuxResources, int) {
	r := containerSettings(c).spec(m.layout.mode == V2, m.hasSwap())
	if _, ok := m.layout.hierarchy(ctlCPU); !ok {
		r.CPU = nil
		delete(r.Unified, "cpu.weight")
	}
	if _, ok := m.layout.hierarchy(ctlMemory); !ok {
		r.Memory = nil
		delete(r.Unified, "memory.oom.group")
	}
	return r, OOMScoreAdj(p, c, amountOf(m.cfg.Capacity).memory)
}

// Prepare makes the pod's cgroup in every hierarchy and sets its limits. It
// may be called again at any time; once containers live in the cgroup it only
// raises limits (see Shrink). It refuses, with *pod.Refused, a pod with limits
// that this host can't enforce, unless the configuration allows them.
func (m *Manager) Prepare(ctx context.Context, uid types.UID, p *corev1.Pod) error {
	if _, err := m.paths(uid); err != nil {
		return err
	}
	if err := m.refuse(p); err != nil {
		return err
	}
	at := m.Path(uid, p)
	if err := m.make(ctx, at); err != nil {
		return err
	}
	want := podSettings(p, m.cfg.MaxPIDs)
	if m.hasChildren(at) {
		now, err := m.read(at)
		if err != nil {
			return fmt.Errorf("prepare cgroup %s: %w", at, err)
		}
		want = want.atLeast(now)
	}
	if err := m.write(at, want); err != nil {
		return fmt.Errorf("prepare cgroup %s: %w", at, err)
	}
	if err := m.weighTiers(); err != nil {
		return err
	}
	// What is wrong with it, Check tells.
	_ = m.holdTotal(ctx)
	return nil
}

// Grow raises the pod's limits to cover want wherever they are below it. It
// comes before the limits of the pod's containers are changed.
func (m *Manager) Grow(_ context.Context, uid types.UID, want *corev1.Pod) error {
	if _, err := m.paths(uid); err != nil {
		return err
	}
	at := m.Path(uid, want)
	now, err := m.read(at)
	if err != nil {
		return fmt.Errorf("grow cgroup %s: %w", at, err)
	}
	if err := m.write(at, podSettings(want, m.cfg.MaxPIDs).atLeast(now)); err != nil {
		return fmt.Errorf("grow cgroup %s: %w", at, err)
	}
	return m.weighTiers()
}

// Shrink sets the pod's limits to want. It comes after the limits of the
// pod's containers were changed. A memory limit below what the pod uses would
// kill: it is held, everything else is set, and the error is *pod.Refused
// with reason Deferred.
func (m *Manager) Shrink(ctx context.Context, uid types.UID, want *corev1.Pod) error {
	if _, err := m.paths(uid); err != nil {
		return err
	}
	at := m.Path(uid, want)
	s := podSettings(want, m.cfg.MaxPIDs)
	held, err := m.hold(ctx, at, &s)
	if err != nil {
		return fmt.Errorf("shrink cgroup %s: %w", at, err)
	}
	if err := m.write(at, s); err != nil {
		return fmt.Errorf("shrink cgroup %s: %w", at, err)
	}
	if err := m.weighTiers(); err != nil {
		return err
	}
	if held != nil {
		return held
	}
	return nil
}

// Check makes sure that our tree can still limit what is in it, down to the
// containers of each pod: service managers take controllers away from the root
// of cgroup v2 at times. It gives back what was taken, and tells so: the limits
// of every pod must then be prepared again. It is cheap enough to be called
// every minute.
func (m *Manager) Check(ctx context.Context) (restored bool, err error) {
	if restored, err = m.giveBack(); err != nil {
		return restored, err
	}
	return restored, m.holdTotal(ctx)
}

func (m *Manager) giveBack() (restored bool, err error) {
	if m.layout.mode != V2 {
		return false, nil
	}
	pods, err := m.podPaths()
	if err != nil {
		return false, err
	}
	own := []string{"/", m.cfg.Root, path.Join(m.cfg.Root, burstableTier), path.Join(m.cfg.Root, bestEffortTier)}
	for _, at := range append(own, pods...) {
		if !exists(filepath.Join(m.layout.unified, at)) {
			continue
		}
		changed, err := m.delegate(at)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errGone) {
			continue // that pod is being removed
		}
		if err != nil {
			return restored, err
		}
		restored = restored || changed
	}
	return restored, nil
}
