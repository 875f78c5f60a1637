package metrics

import (
	"context"
	"maps"
	"path"
	"sync"
	"time"

	"github.com/podstead/podstead/pod"
)

// How long a reading is shared, and how long a scrape waits for one.
const (
	readingAge  = time.Second
	readingWait = time.Second
	// readingTime ends a reading that can be ended.
	readingTime = 10 * time.Second
)

// reading is what was read of everything that runs, at one time.
type reading struct {
	at       time.Time
	cgroups  map[string]pod.CgroupStats
	networks map[string][]pod.InterfaceStats // by the pod's cgroup
	node     pod.NodeStats
	nodeRead bool
}

// sampler reads statistics for scrapes. All that come at the same time share
// one reading, and so do those that come within a second. A reading that
// takes longer than a second is not waited for: the one before serves.
type sampler struct {
	cfg *Config
	// full is nil, or reads everything: then this one reads usage alone, which
	// takes a fifth of the time, unless there is a reading of full's.
	full *sampler
	mu   sync.Mutex
	// last is the newest whole reading.
	last *reading
	// flight is closed when the reading that runs now ends; nil for none.
	flight chan struct{}
	began  time.Time
}

// get returns the newest reading that can be had within a second; nil when
// there never was one. The end of ctx does not end the reading, since others
// share it.
func (s *sampler) get(ctx context.Context, now time.Time) *reading {
	if s.full != nil {
		if r := s.full.recent(now); r != nil {
			return r
		}
	}
	s.mu.Lock()
	if r := s.shared(now); r != nil {
		defer s.mu.Unlock()
		return r
	}
	if s.flight == nil {
		s.flight, s.began = make(chan struct{}), now
		go s.read(ctx, s.cfg.Snapshots.Latest(), s.flight)
	}
	flight, left := s.flight, readingWait-now.Sub(s.began)
	s.mu.Unlock()
	if left > 0 {
		wait := time.NewTimer(left)
		defer wait.Stop()
		select {
		case <-flight:
		case <-wait.C:
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// recent is shared for others than this sampler.
func (s *sampler) recent(now time.Time) *reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shared(now)
}

// shared is the last reading if it still is to be shared, else nil. The caller
// holds the lock.
func (s *sampler) shared(now time.Time) *reading {
	if s.last == nil || now.Sub(s.last.at) >= readingAge {
		return nil
	}
	return s.last
}

// read reads everything. What vanished meanwhile is left out.
func (s *sampler) read(ctx context.Context, snap *pod.Snapshot, done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readingTime)
	defer cancel()
	r := s.readPods(ctx, snap.Pods)
	node, err := s.cfg.Stats.Node(ctx)
	r.node, r.nodeRead = node, err == nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	if ctx.Err() == nil {
		s.last = r
	}
	close(done)
}

// readers is how many pods are read at a time.
const readers = 4

func (s *sampler) readPods(ctx context.Context, pods []pod.View) *reading {
	whole := newReading()
	var parts [readers]*reading
	var all sync.WaitGroup
	for k := range parts {
		parts[k] = newReading()
		all.Go(func() {
			for i := k; i < len(pods) && ctx.Err() == nil; i += readers {
				s.readPod(ctx, &pods[i], parts[k])
			}
		})
	}
	all.Wait()
	for _, part := range parts {
		maps.Copy(whole.cgroups, part.cgroups)
		maps.Copy(whole.networks, part.networks)
	}
	return whole
}

func newReading() *reading {
	return &reading{at: time.Now(), cgroups: map[string]pod.CgroupStats{}, networks: map[string][]pod.InterfaceStats{}}
}

func (s *sampler) readPod(ctx context.Context, p *pod.View, r *reading) {
	cgroup, ofPod := s.cfg.Stats.Cgroup, s.cfg.Stats.PodCgroup
	if s.full != nil {
		cgroup, ofPod = s.cfg.Stats.CgroupUsage, s.cfg.Stats.CgroupUsage
	}
	for i := range p.Containers {
		c := &p.Containers[i]
		if !running(c) {
			continue
		}
		if stats, err := cgroup(ctx, c.CgroupPath); err == nil {
			r.cgroups[c.CgroupPath] = stats
		}
		at := path.Dir(c.CgroupPath)
		if _, known := r.cgroups[at]; known {
			continue
		}
		if stats, err := ofPod(ctx, at); err == nil {
			r.cgroups[at] = stats
		}
		if s.full != nil || p.Pod.Spec.HostNetwork {
			continue // its counters would be the host's
		}
		if network, err := s.cfg.Stats.Network(ctx, c.PID); err == nil {
			r.networks[at] = network
		}
	}
}

// wait returns when no reading runs, or after a second: a read that hangs in
// the kernel can't be ended.
func (s *sampler) wait() {
	s.mu.Lock()
	flight := s.flight
	s.mu.Unlock()
	if flight == nil {
		return
	}
	select {
	case <-flight:
	case <-time.After(readingWait):
	}
}
