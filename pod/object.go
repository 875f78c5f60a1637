package pod

import (
	"cmp"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Kind names a kind of object of the Kubernetes API.
type Kind string

// The kinds beside Pod that podstead keeps.
const (
	KindDeployment    Kind = "Deployment"
	KindReplicaSet    Kind = "ReplicaSet"
	KindDaemonSet     Kind = "DaemonSet"
	KindService       Kind = "Service"
	KindEndpointSlice Kind = "EndpointSlice"
)

// ObjectKey identifies an object other than a pod on this server.
type ObjectKey struct {
	Kind Kind
	Key
}

// String returns "Kind namespace/name".
func (k ObjectKey) String() string { return string(k.Kind) + " " + k.Key.String() }

// Compare orders keys by kind, namespace and name.
func (k ObjectKey) Compare(other ObjectKey) int {
	return cmp.Or(cmp.Compare(k.Kind, other.Kind), cmp.Compare(k.Namespace, other.Namespace), cmp.Compare(k.Name, other.Name))
}

// Object is an object other than a pod that a source wants. It is defaulted
// and validated and is shared between goroutines: nobody changes it. Of the
// pointers the one of its kind is set.
type Object struct {
	ObjectKey
	Deployment    *appsv1.Deployment
	ReplicaSet    *appsv1.ReplicaSet
	DaemonSet     *appsv1.DaemonSet
	Service       *corev1.Service
	EndpointSlice *discoveryv1.EndpointSlice

	Origin Origin
	// Warnings tell of fields that were accepted but have no effect.
	Warnings []Problem
}
