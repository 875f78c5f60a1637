package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/podstead/podstead/pod"
)

// keptLists is how many listed snapshots a watch can start from.
const keptLists = 8

// listed keeps the snapshots that were listed last, so that a watch can go on
// from a list without a gap.
type listed struct {
	mu    sync.Mutex
	snaps []*pod.Snapshot
}

func (l *listed) remember(snap *pod.Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.snaps); n > 0 && l.snaps[n-1].Version == snap.Version {
		return
	}
	l.snaps = append(l.snaps, snap)
	if len(l.snaps) > keptLists {
		l.snaps = append([]*pod.Snapshot(nil), l.snaps[1:]...)
	}
}

func (l *listed) find(resourceVersion string) (*pod.Snapshot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, snap := range l.snaps {
		if version(snap) == resourceVersion {
			return snap, true
		}
	}
	return nil, false
}

// watch sends what changes among the objects that collect finds, as a stream
// of JSON objects {type, object}. It begins with all of them as ADDED, or,
// with a resourceVersion, with the difference to that list; a version that is
// not known any more is answered by 410, after which a client lists again.
// Each write brings the client to the newest snapshot: one that reads slowly
// misses states between and holds nobody up.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, collect func(*pod.Snapshot) []entry) {
	var sent []entry
	if v := r.URL.Query().Get("resourceVersion"); v != "" && v != "0" {
		from, ok := s.listed.find(v)
		if !ok {
			writeError(w, apierrors.NewResourceExpired("resourceVersion "+v+" is not known any more: list again"))
			return
		}
		sent = collect(from)
	}
	limit, err := number(r, "timeoutSeconds")
	if err != nil {
		writeError(w, err)
		return
	}
	ctx := r.Context()
	if limit != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*limit)*time.Second)
		defer cancel()
	}
	w.Header().Set("Content-Type", "application/json")
	s.stream(ctx, w, collect, sent)
}

// stream ends when ctx ends or the client is gone.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, collect func(*pod.Snapshot) []entry, sent []entry) {
	out, flusher := json.NewEncoder(w), http.NewResponseController(w)
	for {
		changed := s.cfg.Snapshots.Changed()
		if snap := s.cfg.Snapshots.Latest(); snap != nil {
			now := collect(snap)
			for _, e := range differences(sent, now, snap) {
				if out.Encode(e) != nil {
					return
				}
			}
			sent = now
		}
		if flusher.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// change is a metav1.WatchEvent of an object of any type.
type change struct {
	Type   watch.EventType `json:"type"`
	Object any             `json:"object"`
}

// differences tells what a client that knows before needs to know now.
func differences(before, now []entry, snap *pod.Snapshot) []change {
	old := make(map[string]any, len(before))
	for _, e := range before {
		old[e.id] = e.object
	}
	var events []change
	add := func(t watch.EventType, o any) { events = append(events, change{t, typed(o, snap)}) }
	present := make(map[string]bool, len(now))
	for _, e := range now {
		present[e.id] = true
		was, known := old[e.id]
		switch {
		case !known:
			add(watch.Added, e.object)
		case !same(was, e.object):
			add(watch.Modified, e.object)
		}
	}
	for _, e := range before {
		// Events that were pushed out by newer ones were not deleted.
		if _, isEvent := e.object.(*corev1.Event); !present[e.id] && !isEvent {
			add(watch.Deleted, e.object)
		}
	}
	return events
}

func typed(o any, snap *pod.Snapshot) any {
	switch o := o.(type) {
	case *corev1.Event:
		out := *o
		out.TypeMeta = metav1.TypeMeta{Kind: "Event", APIVersion: "v1"}
		return &out
	case Object:
		return shown(o, snap)
	default:
		return o
	}
}

// same compares cheaply where it can: snapshots share what did not change,
// and an event only ever changes with its count.
func same(a, b any) bool {
	if a == b {
		return true
	}
	ea, oka := a.(*corev1.Event)
	eb, okb := b.(*corev1.Event)
	if oka && okb {
		return ea.Count == eb.Count && ea.LastTimestamp.Equal(&eb.LastTimestamp) && ea.Message == eb.Message
	}
	if _, details := a.(*Workload); details {
		// Semantic panics at times, since their fields are not exported.
		return reflect.DeepEqual(a, b)
	}
	return apiequality.Semantic.DeepEqual(a, b)
}
