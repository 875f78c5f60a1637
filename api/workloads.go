package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// maxBody bounds what a client may send as JSON, in bytes.
const maxBody = 64 << 20

// workloadKinds are those that have revisions and take commands.
var workloadKinds = [...]pod.Kind{pod.KindDeployment, pod.KindReplicaSet, pod.KindDaemonSet}

// workloads lists or watches workloads of a kind with what the Kubernetes API
// has no place for. A ReplicaSet of a Deployment is not among them.
func (s *Server) workloads(k pod.Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		want, err := selectObjects(r, k)
		if err != nil {
			writeError(w, err)
			return
		}
		if watching(r) {
			s.watch(w, r, want.workloads)
			return
		}
		snap, err := s.latest()
		if err != nil {
			writeError(w, err)
			return
		}
		found := want.workloads(snap)
		switch {
		case want.name == "":
			s.listed.remember(snap)
			list := WorkloadList{ListMeta: listMeta(snap), Items: []Workload{}}
			for _, e := range found {
				list.Items = append(list.Items, *e.object.(*Workload))
			}
			writeJSON(w, http.StatusOK, list)
		case len(found) == 0:
			writeError(w, apierrors.NewNotFound(Resource(k), want.name))
		default:
			writeJSON(w, http.StatusOK, found[0].object)
		}
	}
}

func (s objectSelection) workloads(snap *pod.Snapshot) []entry {
	var found []entry
	for i := range snap.Workloads {
		v := Workload(snap.Workloads[i])
		if o := v.Object(); v.Kind == s.kind && o != nil && s.matches(o) {
			found = append(found, entry{id: v.ObjectKey.String(), object: &v})
		}
	}
	return found
}

// rollout carries out a command on the workload that the path names.
func (s *Server) rollout(k pod.Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		snap, err := s.latest()
		if err != nil {
			writeError(w, err)
			return
		}
		key := pod.ObjectKey{Kind: k, Key: pod.Key{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}}
		if err := commandable(snap, key); err != nil {
			writeError(w, err)
			return
		}
		var c pod.RolloutCommand
		if err := readJSON(w, r, &c); err != nil {
			writeError(w, err)
			return
		}
		done, err := s.cfg.Control.Rollout(r.Context(), key, c)
		if err != nil {
			writeError(w, cannot(err))
			return
		}
		answer := success()
		answer.Message = done
		writeJSON(w, http.StatusOK, answer)
	}
}

// commandable tells by an error that there is no such workload, or that it is
// made of another.
func commandable(snap *pod.Snapshot, key pod.ObjectKey) error {
	for i := range snap.Workloads {
		v := &snap.Workloads[i]
		if v.ObjectKey == key {
			return nil
		}
		for j := range v.ReplicaSets {
			if set := &v.ReplicaSets[j]; key.Kind == pod.KindReplicaSet && set.Namespace == key.Namespace && set.Name == key.Name {
				return apierrors.NewBadRequest(fmt.Sprintf("%s is a revision of %s: change that one", key, v.ObjectKey))
			}
		}
	}
	return apierrors.NewNotFound(Resource(key.Kind), key.Name)
}

// cannot is the answer when the state of things does not allow something.
func cannot(err error) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusConflict, Reason: metav1.StatusReasonConflict, Message: err.Error(),
	}}
}

// diff says what manifests would change. They come parsed, defaulted and
// validated: the client names their lines better than anybody else.
func (s *Server) diff(w http.ResponseWriter, r *http.Request) {
	var asked Objects
	if err := readJSON(w, r, &asked); err != nil {
		writeError(w, err)
		return
	}
	for i := range asked.Items {
		if asked.Items[i].Content() == nil {
			writeError(w, apierrors.NewBadRequest(fmt.Sprintf("items[%d]: %s has no content", i, asked.Items[i].ObjectKey)))
			return
		}
	}
	changes, err := s.cfg.Control.Diff(r.Context(), asked.Items)
	if err != nil {
		writeError(w, fmt.Errorf("compare with what is wanted: %w", err))
		return
	}
	if changes == nil {
		changes = []pod.Change{}
	}
	writeJSON(w, http.StatusOK, ChangeList{Items: changes})
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		return apierrors.NewBadRequest("the body can't be read: " + err.Error())
	}
	return nil
}

// services lists Services with what the Kubernetes API has no place for.
func (s *Server) services(w http.ResponseWriter, r *http.Request) {
	want, err := selectObjects(r, pod.KindService)
	if err != nil {
		writeError(w, err)
		return
	}
	snap, err := s.latest()
	if err != nil {
		writeError(w, err)
		return
	}
	list := ServiceList{Items: []Service{}}
	for i := range snap.Services {
		v := Service(snap.Services[i])
		if want.matches(v.Service) {
			list.Items = append(list.Items, v)
		}
	}
	if want.name != "" && len(list.Items) == 0 {
		writeError(w, apierrors.NewNotFound(Resource(pod.KindService), want.name))
		return
	}
	writeJSON(w, http.StatusOK, list)
}

// workloadRoutes registers everything about workloads and Services.
func (s *Server) workloadRoutes(mux *http.ServeMux) {
	for _, k := range []pod.Kind{pod.KindDeployment, pod.KindReplicaSet, pod.KindDaemonSet, pod.KindService, pod.KindEndpointSlice} {
		path := Resource(k).Resource
		mux.HandleFunc("GET "+prefix(k)+"/"+path, s.objects(k))
		mux.HandleFunc("GET "+prefix(k)+"/namespaces/{namespace}/"+path, s.objects(k))
		mux.HandleFunc("GET "+prefix(k)+"/namespaces/{namespace}/"+path+"/{name}", s.objects(k))
	}
	for _, k := range workloadKinds {
		path := Resource(k).Resource
		mux.HandleFunc("GET /podstead/v1/"+path, s.workloads(k))
		mux.HandleFunc("GET /podstead/v1/namespaces/{namespace}/"+path, s.workloads(k))
		mux.HandleFunc("GET /podstead/v1/namespaces/{namespace}/"+path+"/{name}", s.workloads(k))
		mux.HandleFunc("POST /podstead/v1/namespaces/{namespace}/"+path+"/{name}/rollout", s.rollout(k))
	}
	mux.HandleFunc("GET /podstead/v1/services", s.services)
	mux.HandleFunc("GET /podstead/v1/namespaces/{namespace}/services", s.services)
	mux.HandleFunc("GET /podstead/v1/namespaces/{namespace}/services/{name}", s.services)
	mux.HandleFunc("POST /podstead/v1/diff", s.diff)
}
