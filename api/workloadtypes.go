package api

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// Workload is a pod.WorkloadView on its way to a client.
type Workload struct {
	pod.ObjectKey
	Deployment  *appsv1.Deployment  `json:"deployment,omitempty"`
	ReplicaSet  *appsv1.ReplicaSet  `json:"replicaSet,omitempty"`
	DaemonSet   *appsv1.DaemonSet   `json:"daemonSet,omitempty"`
	ReplicaSets []appsv1.ReplicaSet `json:"replicaSets,omitempty"`
	Origin      pod.Origin          `json:"origin"`
	Problems    []pod.Problem       `json:"problems,omitempty"`
	Replicas    int32               `json:"replicas"`
	Paused      bool                `json:"paused,omitempty"`
	Drift       []string            `json:"drift,omitempty"`
	Held        string              `json:"held,omitempty"`
	Elsewhere   string              `json:"elsewhere,omitempty"`
	Deleting    bool                `json:"deleting,omitempty"`
	Plan        []string            `json:"plan,omitempty"`
	Revision    int64               `json:"revision"`
	Wanted      int64               `json:"wanted"`
	Revisions   []pod.RevisionView  `json:"revisions,omitempty"`
	Events      []corev1.Event      `json:"events,omitempty"`
}

// View returns w as the snapshot has it.
func (w *Workload) View() *pod.WorkloadView { return (*pod.WorkloadView)(w) }

// Object returns the Deployment, ReplicaSet or DaemonSet, with the number of
// pods and the pause that are in force; nil if there is none.
func (w *Workload) Object() Object {
	list := workloadObjects(w.Kind, w.View())
	if len(list) != 1 {
		return nil
	}
	return list[0]
}

// WorkloadList is the answer of /podstead/v1/deployments and the like.
type WorkloadList struct {
	metav1.ListMeta `json:"metadata"`
	Items           []Workload `json:"items"`
}

// Service is a pod.ServiceView on its way to a client.
type Service struct {
	Service  *corev1.Service             `json:"service"`
	Slices   []discoveryv1.EndpointSlice `json:"slices,omitempty"`
	Origin   pod.Origin                  `json:"origin"`
	Problems []pod.Problem               `json:"problems,omitempty"`
}

// ServiceList is the answer of /podstead/v1/services.
type ServiceList struct {
	Items []Service `json:"items"`
}

// Objects are manifests that are asked about.
type Objects struct {
	Items []pod.Object `json:"items"`
}

// ChangeList is the answer of /podstead/v1/diff.
type ChangeList struct {
	Items []pod.Change `json:"items"`
}

// WorkloadTrouble is a workload that is not as its manifest says, or that
// people should know about.
type WorkloadTrouble struct {
	pod.ObjectKey
	// Drift is what people changed against the manifest.
	Drift []string `json:"drift,omitempty"`
	// Held is why a wanted revision is not rolled out yet.
	Held string `json:"held,omitempty"`
	// Failed is why the wanted revision failed, RolledBack that another one
	// runs instead.
	Failed     string `json:"failed,omitempty"`
	RolledBack bool   `json:"rolledBack,omitempty"`
	Paused     bool   `json:"paused,omitempty"`
}
