package api

import (
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// details lists pods with what the Kubernetes API has no place for. The
// query's name asks for the pods of one name.
func (s *Server) details(w http.ResponseWriter, r *http.Request) {
	want, err := selectPods(r)
	if err != nil {
		writeError(w, err)
		return
	}
	want.name = r.URL.Query().Get("name")
	snap, err := s.latest()
	if err != nil {
		writeError(w, err)
		return
	}
	list := DetailsList{Items: []Details{}}
	for _, v := range snap.Pods {
		if want.matches(v) {
			list.Items = append(list.Items, s.detailsOf(v, snap))
		}
	}
	writeJSON(w, http.StatusOK, list)
}

func (s *Server) detailsOf(v pod.View, snap *pod.Snapshot) Details {
	d := Details{
		Pod: versioned(v.Pod, snap), Instance: v.Instance.Number, Origin: v.Origin,
		Problems: v.Problems, Notes: v.Notes, Containers: []ContainerDetails{},
	}
	for _, c := range v.Containers {
		d.Containers = append(d.Containers, ContainerDetails{
			Name: c.Name, ID: c.ID, Role: c.Role, PID: c.PID, CgroupPath: c.CgroupPath, LogPath: c.LogPath,
			LastLogTail: c.LastLogTail, NextStart: c.NextStart, Logger: c.Logger, Probes: s.probes(c.ID),
		})
	}
	return d
}

// images lists the stored images.
func (s *Server) images(w http.ResponseWriter, r *http.Request) {
	stored, err := s.cfg.Control.StoredImages(r.Context())
	if err != nil {
		writeError(w, fmt.Errorf("list the images: %w", err))
		return
	}
	if stored == nil {
		stored = []pod.StoredImage{}
	}
	writeJSON(w, http.StatusOK, StoredImageList{Items: stored})
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	snap, err := s.latest()
	if err != nil {
		writeError(w, err)
		return
	}
	st := Status{
		Version: s.cfg.Version, Node: Node(snap.Node), Runtime: snap.Runtime, Draining: snap.Draining, Time: snap.Time,
		Sources: []Source{}, Images: []Image{}, Pods: map[corev1.PodPhase]int{},
		Requested: snap.Requested(), Disk: snap.Disk, Workloads: map[pod.Kind]int{}, Services: len(snap.Services),
	}
	for i := range snap.Workloads {
		st.Workloads[snap.Workloads[i].Kind]++
		if t, any := troubleOf(&snap.Workloads[i]); any {
			st.Troubles = append(st.Troubles, t)
		}
	}
	if s.cfg.Configuration != nil {
		st.Configuration = s.cfg.Configuration()
	}
	if s.cfg.Metrics != nil {
		st.Metrics = s.cfg.Metrics()
	}
	for _, source := range snap.Sources {
		st.Sources = append(st.Sources, Source{SourceState: source, Objects: objectsOf(source)})
	}
	for _, i := range snap.Images {
		st.Images = append(st.Images, Image{
			Ref: i.Ref, Digest: i.Digest, Pulling: i.Pulling, Error: i.Error, NextTry: i.NextTry,
			Done: i.Progress.Done, Total: i.Progress.Total, Layers: i.Progress.Layers, LayersDone: i.Progress.LayersDone,
		})
	}
	for _, v := range snap.Pods {
		st.Pods[v.Pod.Status.Phase]++
	}
	writeJSON(w, http.StatusOK, st)
}

// objectsOf counts what a source has by kind.
func objectsOf(s pod.SourceState) map[pod.Kind]int {
	counts := map[pod.Kind]int{}
	if n := len(s.Pods); n > 0 {
		counts[pod.KindPod] = n
	}
	for i := range s.Objects {
		counts[s.Objects[i].Kind]++
	}
	return counts
}

// troubleOf tells what people should know about a workload, if there is any.
func troubleOf(v *pod.WorkloadView) (t WorkloadTrouble, any bool) {
	t = WorkloadTrouble{ObjectKey: v.ObjectKey, Drift: v.Drift, Held: v.Held, Paused: v.Paused, RolledBack: v.RolledBack()}
	if failed := v.Failed(); failed != nil {
		t.Failed = fmt.Sprintf("revision %d failed: %s", failed.Number, failed.Failure.Message)
	}
	return t, len(t.Drift) > 0 || t.Held != "" || t.Failed != "" || t.Paused
}
