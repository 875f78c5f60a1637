package pod

import (
	"cmp"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kind names a kind of object of the Kubernetes API.
type Kind string

// The kinds that podstead keeps.
const (
	KindPod           Kind = "Pod"
	KindDeployment    Kind = "Deployment"
	KindReplicaSet    Kind = "ReplicaSet"
	KindDaemonSet     Kind = "DaemonSet"
	KindService       Kind = "Service"
	KindEndpointSlice Kind = "EndpointSlice"
)

// APIVersion returns the version of the API that manifests of the kind name;
// empty for a kind that is none of these.
func (k Kind) APIVersion() string {
	switch k {
	case KindPod, KindService:
		return "v1"
	case KindDeployment, KindReplicaSet, KindDaemonSet:
		return "apps/v1"
	case KindEndpointSlice:
		return "discovery.k8s.io/v1"
	}
	return ""
}

// IsWorkload tells the kinds that stand for running pods.
func (k Kind) IsWorkload() bool {
	switch k {
	case KindPod, KindDeployment, KindReplicaSet, KindDaemonSet:
		return true
	}
	return false
}

// ObjectKey identifies an object on this server. Where it is about a manifest
// of which the kind can't be told, Kind is empty.
type ObjectKey struct {
	Kind Kind
	Key
}

// String returns "Kind namespace/name"; for a pod it is the key alone, which
// is how pods are named everywhere.
func (k ObjectKey) String() string {
	if k.Kind == KindPod || k.Kind == "" {
		return k.Key.String()
	}
	return string(k.Kind) + " " + k.Key.String()
}

// Compare orders keys by kind, namespace and name.
func (k ObjectKey) Compare(other ObjectKey) int {
	return cmp.Or(cmp.Compare(k.Kind, other.Kind), cmp.Compare(k.Namespace, other.Namespace), cmp.Compare(k.Name, other.Name))
}

// Object is an object of any kind that a source wants. It is defaulted and
// validated and is shared between goroutines: nobody changes it. Of the
// pointers the one of its kind is set.
type Object struct {
	ObjectKey
	// Pod is set only on the way from the bytes to SourceState, which lists
	// pods apart from the other objects.
	Pod           *corev1.Pod                `json:",omitempty"`
	Deployment    *appsv1.Deployment         `json:",omitempty"`
	ReplicaSet    *appsv1.ReplicaSet         `json:",omitempty"`
	DaemonSet     *appsv1.DaemonSet          `json:",omitempty"`
	Service       *corev1.Service            `json:",omitempty"`
	EndpointSlice *discoveryv1.EndpointSlice `json:",omitempty"`

	Origin Origin
	// Warnings tell of fields that were accepted but have no effect.
	Warnings []Problem
}

// Content returns the object itself: the pointer of its kind, nil if that is
// not set. Two contents are equal when they are the very same object.
func (o *Object) Content() metav1.Object {
	switch {
	case o.Kind == KindPod && o.Pod != nil:
		return o.Pod
	case o.Kind == KindDeployment && o.Deployment != nil:
		return o.Deployment
	case o.Kind == KindReplicaSet && o.ReplicaSet != nil:
		return o.ReplicaSet
	case o.Kind == KindDaemonSet && o.DaemonSet != nil:
		return o.DaemonSet
	case o.Kind == KindService && o.Service != nil:
		return o.Service
	case o.Kind == KindEndpointSlice && o.EndpointSlice != nil:
		return o.EndpointSlice
	}
	return nil
}

// Template returns the template of a workload's pods; nil for a pod, and for
// what has no pods.
func (o *Object) Template() *corev1.PodTemplateSpec {
	switch {
	case o.Deployment != nil:
		return &o.Deployment.Spec.Template
	case o.ReplicaSet != nil:
		return &o.ReplicaSet.Spec.Template
	case o.DaemonSet != nil:
		return &o.DaemonSet.Spec.Template
	}
	return nil
}

// Replicas returns how many pods a defaulted object stands for once no update
// of it is under way: one for a pod and for a DaemonSet, none for what has no
// pods.
func (o *Object) Replicas() int32 {
	replicas := int32(0)
	switch {
	case o.Pod != nil, o.DaemonSet != nil:
		replicas = 1
	case o.Deployment != nil && o.Deployment.Spec.Replicas != nil:
		replicas = *o.Deployment.Spec.Replicas
	case o.ReplicaSet != nil && o.ReplicaSet.Spec.Replicas != nil:
		replicas = *o.ReplicaSet.Spec.Replicas
	}
	return replicas
}
