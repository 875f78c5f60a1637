package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// CPU use is averaged over at least minWindow; a reading older than maxWindow
// is no base for what is used now.
const (
	minWindow = time.Second
	maxWindow = time.Minute
)

// sampler turns counters into rates. Its last readings are shared by all who
// ask, and forgotten with their containers.
type sampler struct {
	stats Stats
	mu    sync.Mutex
	last  map[string]reading
}

// reading is what a container's cgroup said at a time.
type reading struct {
	at     time.Time
	cpu    uint64
	memory uint64
}

// usage is what a container, or the server, uses now.
type usage struct {
	cores  float64
	memory uint64
	window time.Duration
}

// metrics answers with what running containers use. A container whose cgroup
// can't be read is left out, and a pod of which no container can be. When
// nobody asked within the last minute the answer takes a second.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	want, err := selectPods(r)
	if err != nil {
		writeError(w, err)
		return
	}
	snap, err := s.latest()
	if err != nil {
		writeError(w, err)
		return
	}
	paths := map[string]string{}
	for _, v := range snap.Pods {
		for _, c := range v.Containers {
			if c.CgroupPath != "" && c.PID != 0 {
				paths[c.ID] = c.CgroupPath
			}
		}
	}
	now, err := s.usage.read(r.Context(), paths)
	if err != nil {
		writeError(w, err)
		return
	}
	list := PodMetricsList{
		TypeMeta: metav1.TypeMeta{Kind: "PodMetricsList", APIVersion: "metrics.k8s.io/v1beta1"},
		ListMeta: listMeta(snap), Items: []PodMetrics{},
	}
	for _, v := range snap.Pods {
		if m := podMetrics(v, now); want.matches(v) && len(m.Containers) > 0 {
			list.Items = append(list.Items, m)
		}
	}
	writeJSON(w, http.StatusOK, list)
}

func podMetrics(v pod.View, now map[string]usage) PodMetrics {
	m := PodMetrics{
		TypeMeta:   metav1.TypeMeta{Kind: "PodMetrics", APIVersion: "metrics.k8s.io/v1beta1"},
		ObjectMeta: metav1.ObjectMeta{Namespace: v.Instance.Namespace, Name: v.Instance.Name, Labels: v.Pod.Labels},
		Timestamp:  metav1.Now(),
	}
	for _, c := range v.Containers {
		u, ok := now[c.ID]
		if !ok || c.Role == pod.RolePause {
			continue
		}
		m.Window = metav1.Duration{Duration: u.window}
		m.Containers = append(m.Containers, ContainerMetrics{Name: c.Name, Usage: u.resources()})
	}
	return m
}

// read returns the usage of the cgroups at paths, by container id.
func (s *sampler) read(ctx context.Context, paths map[string]string) (map[string]usage, error) {
	s.mu.Lock()
	base := s.last
	s.mu.Unlock()
	now := s.sample(ctx, paths)
	if stale(base, now) {
		base = now
		select {
		case <-time.After(minWindow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		now = s.sample(ctx, paths)
	}
	s.mu.Lock()
	s.last = now
	s.mu.Unlock()
	return rates(base, now), nil
}

// stale tells that some reading has no earlier one to be compared with.
func stale(base, now map[string]reading) bool {
	for id, n := range now {
		b, ok := base[id]
		if age := n.at.Sub(b.at); !ok || age < minWindow || age > maxWindow {
			return true
		}
	}
	return false
}

func (s *sampler) sample(ctx context.Context, paths map[string]string) map[string]reading {
	readings := make(map[string]reading, len(paths))
	for id, path := range paths {
		if cpu, memory, err := s.stats.Usage(ctx, path); err == nil {
			readings[id] = reading{at: time.Now(), cpu: cpu, memory: memory}
		}
	}
	return readings
}

func rates(base, now map[string]reading) map[string]usage {
	rates := make(map[string]usage, len(now))
	for id, n := range now {
		b, ok := base[id]
		window := n.at.Sub(b.at)
		if !ok || window <= 0 || n.cpu < b.cpu {
			continue
		}
		rates[id] = usage{
			cores: float64(n.cpu-b.cpu) / float64(window.Nanoseconds()), memory: n.memory, window: window,
		}
	}
	return rates
}
