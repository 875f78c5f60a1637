package api

import (
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// pods lists or watches the pods of all namespaces or of one. An instance
// that is still ending is listed beside its successor of the same name.
func (s *Server) pods(w http.ResponseWriter, r *http.Request) {
	want, err := selectPods(r)
	if err != nil {
		writeError(w, err)
		return
	}
	if watching(r) {
		s.watch(w, r, want.pods)
		return
	}
	snap, err := s.latest()
	if err != nil {
		writeError(w, err)
		return
	}
	s.listed.remember(snap)
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: listMeta(snap)}
	list.Items = []corev1.Pod{}
	for _, o := range want.pods(snap) {
		list.Items = append(list.Items, *versioned(o.object.(*corev1.Pod), snap))
	}
	writeJSON(w, http.StatusOK, list)
}

// pod answers with the newest instance of one pod, or watches it.
func (s *Server) pod(w http.ResponseWriter, r *http.Request) {
	if watching(r) {
		want := podSelection{namespace: r.PathValue("namespace"), name: r.PathValue("name"), everything: true}
		s.watch(w, r, want.pods)
		return
	}
	view, err := s.find(r)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, versioned(view.Pod, s.cfg.Snapshots.Latest()))
}

// latest returns the newest snapshot, or why there is none.
func (s *Server) latest() (*pod.Snapshot, error) {
	if snap := s.cfg.Snapshots.Latest(); snap != nil {
		return snap, nil
	}
	return nil, noSnapshot()
}

// find returns the newest instance of the pod that the path names.
func (s *Server) find(r *http.Request) (pod.View, error) {
	snap, err := s.latest()
	if err != nil {
		return pod.View{}, err
	}
	key := pod.Key{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	view, ok := snap.Find(key)
	if !ok {
		return pod.View{}, noPod(key)
	}
	return view, nil
}

// versioned returns a pod as clients expect it: with its kind, and with a
// version even if the agent gave none. The pod itself is shared and stays.
func versioned(p *corev1.Pod, snap *pod.Snapshot) *corev1.Pod {
	out := *p
	out.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
	if out.ResourceVersion == "" {
		out.ResourceVersion = version(snap)
	}
	return &out
}

func version(snap *pod.Snapshot) string { return strconv.FormatUint(snap.Version, 10) }

func listMeta(snap *pod.Snapshot) metav1.ListMeta {
	return metav1.ListMeta{ResourceVersion: version(snap)}
}

func watching(r *http.Request) bool {
	on, _ := strconv.ParseBool(r.URL.Query().Get("watch"))
	return on
}

// entry is an object under the id that it keeps for its life.
type entry struct {
	id     string
	object any
}

// events lists or watches events, oldest first.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	want, err := selectEvents(r)
	if err != nil {
		writeError(w, err)
		return
	}
	if watching(r) {
		s.watch(w, r, want.events)
		return
	}
	snap, err := s.latest()
	if err != nil {
		writeError(w, err)
		return
	}
	s.listed.remember(snap)
	list := corev1.EventList{TypeMeta: metav1.TypeMeta{Kind: "EventList", APIVersion: "v1"}, ListMeta: listMeta(snap)}
	list.Items = []corev1.Event{}
	for _, o := range want.events(snap) {
		list.Items = append(list.Items, *o.object.(*corev1.Event))
	}
	writeJSON(w, http.StatusOK, list)
}

// number reads a query parameter that must be a whole number ≥ 0; nil when
// it is not given.
func number(r *http.Request, name string) (*int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil, apierrors.NewBadRequest(name + ": got " + strconv.Quote(text) + ", want a whole number of at least 0")
	}
	return &n, nil
}

// flag reads a query parameter that must be a truth value; false when it is
// not given.
func flag(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, apierrors.NewBadRequest(name + ": got " + strconv.Quote(text) + ", want true or false")
	}
	return on, nil
}

// since reads sinceSeconds and sinceTime; zero when neither is given.
func since(r *http.Request, now time.Time) (time.Time, error) {
	seconds, err := number(r, "sinceSeconds")
	if err != nil {
		return time.Time{}, err
	}
	if seconds != nil {
		return now.Add(-time.Duration(*seconds) * time.Second), nil
	}
	text := r.URL.Query().Get("sinceTime")
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, apierrors.NewBadRequest("sinceTime: got " + strconv.Quote(text) + ", want a time such as 2026-01-02T15:04:05Z")
	}
	return at, nil
}
