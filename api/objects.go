package api

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/podstead/podstead/pod"
)

// Object is an object of any kind in the shape of the Kubernetes API.
type Object interface {
	metav1.Object
	runtime.Object
}

// Resource is what the API calls the objects of a kind, as in deployments.apps.
func Resource(k pod.Kind) schema.GroupResource {
	group, _, grouped := strings.Cut(k.APIVersion(), "/")
	if !grouped {
		group = ""
	}
	return schema.GroupResource{Group: group, Resource: strings.ToLower(string(k)) + "s"}
}

// prefix is the path below which the API has the objects of a kind.
func prefix(k pod.Kind) string {
	if Resource(k).Group == "" {
		return "/api/" + k.APIVersion()
	}
	return "/apis/" + k.APIVersion()
}

// newObject returns an empty object of a kind; nil for a kind that there is
// not.
func newObject(k pod.Kind) Object {
	switch k {
	case pod.KindPod:
		return &corev1.Pod{}
	case pod.KindDeployment:
		return &appsv1.Deployment{}
	case pod.KindReplicaSet:
		return &appsv1.ReplicaSet{}
	case pod.KindDaemonSet:
		return &appsv1.DaemonSet{}
	case pod.KindService:
		return &corev1.Service{}
	case pod.KindEndpointSlice:
		return &discoveryv1.EndpointSlice{}
	}
	return nil
}

// collect finds all objects of a kind in a snapshot, sorted by key. Pods have
// instances and are found elsewhere.
func collect(k pod.Kind, snap *pod.Snapshot) []Object {
	var found []Object
	switch k {
	case pod.KindService:
		for i := range snap.Services {
			found = append(found, snap.Services[i].Service)
		}
	case pod.KindEndpointSlice:
		for i := range snap.Services {
			for j := range snap.Services[i].Slices {
				found = append(found, &snap.Services[i].Slices[j])
			}
		}
	default:
		for i := range snap.Workloads {
			found = append(found, workloadObjects(k, &snap.Workloads[i])...)
		}
	}
	slices.SortStableFunc(found, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return found
}

// workloadObjects are the objects of a kind that a workload is and has. As in
// Kubernetes, their number of pods and whether they are paused are those that
// are in force, whatever the manifest says.
func workloadObjects(k pod.Kind, v *pod.WorkloadView) []Object {
	switch {
	case k == pod.KindDeployment && v.Deployment != nil:
		out := *v.Deployment
		out.Spec.Replicas, out.Spec.Paused = &v.Replicas, v.Paused
		return []Object{&out}
	case k == pod.KindDaemonSet && v.DaemonSet != nil:
		return []Object{v.DaemonSet}
	case k == pod.KindReplicaSet && v.ReplicaSet != nil:
		out := *v.ReplicaSet
		out.Spec.Replicas = &v.Replicas
		return []Object{&out}
	case k == pod.KindReplicaSet:
		var found []Object
		for i := range v.ReplicaSets {
			found = append(found, &v.ReplicaSets[i])
		}
		return found
	}
	return nil
}

// shown returns an object as clients expect it: with its kind and a version.
// The object itself is shared and stays.
func shown(o Object, snap *pod.Snapshot) Object {
	switch o := o.(type) {
	case *appsv1.Deployment:
		out := *o
		out.TypeMeta, out.ResourceVersion = typeOf(pod.KindDeployment), version(snap)
		return &out
	case *appsv1.ReplicaSet:
		out := *o
		out.TypeMeta, out.ResourceVersion = typeOf(pod.KindReplicaSet), version(snap)
		return &out
	case *appsv1.DaemonSet:
		out := *o
		out.TypeMeta, out.ResourceVersion = typeOf(pod.KindDaemonSet), version(snap)
		return &out
	case *corev1.Service:
		out := *o
		out.TypeMeta, out.ResourceVersion = typeOf(pod.KindService), version(snap)
		return &out
	case *discoveryv1.EndpointSlice:
		out := *o
		out.TypeMeta, out.ResourceVersion = typeOf(pod.KindEndpointSlice), version(snap)
		return &out
	case *corev1.Pod:
		return versioned(o, snap)
	}
	return o
}

func typeOf(k pod.Kind) metav1.TypeMeta {
	return metav1.TypeMeta{Kind: string(k), APIVersion: k.APIVersion()}
}

// objectSelection says which objects of a kind are wanted.
type objectSelection struct {
	kind            pod.Kind
	namespace, name string
	labels          labels.Selector
	fields          fields.Selector
}

func selectObjects(r *http.Request, k pod.Kind) (objectSelection, error) {
	l, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return objectSelection{}, apierrors.NewBadRequest("labelSelector: " + err.Error())
	}
	f, err := selectFields(r, fields.Set{"metadata.name": "", "metadata.namespace": ""})
	return objectSelection{kind: k, namespace: r.PathValue("namespace"), name: r.PathValue("name"), labels: l, fields: f}, err
}

func (s objectSelection) matches(o metav1.Object) bool {
	if s.namespace != "" && s.namespace != o.GetNamespace() || s.name != "" && s.name != o.GetName() {
		return false
	}
	return s.labels.Matches(labels.Set(o.GetLabels())) &&
		s.fields.Matches(fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()})
}

func (s objectSelection) objects(snap *pod.Snapshot) []entry {
	var found []entry
	for _, o := range collect(s.kind, snap) {
		if s.matches(o) {
			found = append(found, entry{id: o.GetNamespace() + "/" + o.GetName(), object: o})
		}
	}
	return found
}

// objects lists or watches the objects of a kind, or shows or watches the one
// that the path names.
func (s *Server) objects(k pod.Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		want, err := selectObjects(r, k)
		if err != nil {
			writeError(w, err)
			return
		}
		if watching(r) {
			s.watch(w, r, want.objects)
			return
		}
		snap, err := s.latest()
		if err != nil {
			writeError(w, err)
			return
		}
		found := want.objects(snap)
		switch {
		case want.name == "":
			s.listed.remember(snap)
			writeJSON(w, http.StatusOK, objectList(k, found, snap))
		case len(found) == 0:
			writeError(w, apierrors.NewNotFound(Resource(k), want.name))
		default:
			writeJSON(w, http.StatusOK, shown(found[0].object.(Object), snap))
		}
	}
}

// rawList is a list of objects of any kind.
type rawList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []Object `json:"items"`
}

func objectList(k pod.Kind, found []entry, snap *pod.Snapshot) rawList {
	list := rawList{TypeMeta: typeOf(k), ListMeta: listMeta(snap), Items: []Object{}}
	list.Kind += "List"
	for _, e := range found {
		list.Items = append(list.Items, shown(e.object.(Object), snap))
	}
	return list
}
