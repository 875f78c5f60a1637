package metrics

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// diskInterval is the least time between two measurements, and diskWanted how
// long after a scrape there are any: what nobody asks for is not measured.
const (
	diskInterval = time.Minute
	diskWanted   = 5 * time.Minute
	// diskTime bounds the measurement of one pod.
	diskTime = 10 * time.Second
)

// diskReading is what takes time to find out, measured beside the scrapes.
type diskReading struct {
	pods       map[types.UID]pod.DiskStats
	processes  map[string]pod.ProcessStats // by container id
	filesystem pod.FilesystemStats
	fsRead     bool
}

// meter measures disk use and open files in the background.
type meter struct {
	cfg    *Config
	last   atomic.Pointer[diskReading]
	mu     sync.Mutex
	wanted time.Time // when somebody asked last; guarded by mu
	asked  chan struct{}
}

func newMeter(cfg *Config) *meter { return &meter{cfg: cfg, asked: make(chan struct{}, 1)} }

// get returns what was measured last, nil when nothing was, and keeps the
// measuring going.
func (m *meter) get(now time.Time) *diskReading {
	m.mu.Lock()
	m.wanted = now
	m.mu.Unlock()
	select {
	case m.asked <- struct{}{}:
	default:
	}
	return m.last.Load()
}

func (m *meter) idle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.wanted) > diskWanted
}

// run measures until ctx ends, as long as somebody wants to know.
func (m *meter) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-m.asked:
		case <-ctx.Done():
			return
		}
		for !m.idle() && ctx.Err() == nil {
			m.last.Store(m.measure(ctx))
			timer.Reset(diskInterval)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
	}
}

func (m *meter) measure(ctx context.Context) *diskReading {
	r := &diskReading{pods: map[types.UID]pod.DiskStats{}, processes: map[string]pod.ProcessStats{}}
	snap := m.cfg.Snapshots.Latest()
	for i := range snap.Pods {
		m.measurePod(ctx, &snap.Pods[i], r)
	}
	fs, err := m.cfg.Disk.Filesystem(ctx)
	r.filesystem, r.fsRead = fs, err == nil
	return r
}

func (m *meter) measurePod(ctx context.Context, p *pod.View, r *diskReading) {
	ctx, cancel := context.WithTimeout(ctx, diskTime)
	defer cancel()
	if stats, err := m.cfg.Disk.Pod(ctx, p); err == nil {
		r.pods[p.Pod.UID] = stats
	}
	for i := range p.Containers {
		c := &p.Containers[i]
		if !running(c) {
			continue
		}
		if stats, err := m.cfg.Disk.Processes(ctx, c.CgroupPath); err == nil {
			r.processes[c.ID] = stats
		}
	}
}
