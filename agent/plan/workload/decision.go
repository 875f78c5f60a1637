package workload

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Decision is everything that is wanted of one workload now, whole.
type Decision struct {
	// Keep says that nothing can be decided: what was wanted before stays
	// wanted. Of the other fields only Record is set then.
	Keep bool
	// Pods are the pods that are wanted, sorted by key. Of those that are in
	// Have and not here, Ended says why.
	Pods []*pod.Desired
	// Unreadable are pods that are wanted as they are recorded: what they were
	// made of is not known.
	Unreadable []pod.Key
	// Ended are the pods that are not wanted any more, sorted by key.
	Ended []Ended
	// Fetch are images to be fetched and checked: something waits for them.
	Fetch []Fetch
	// Record is to be stored, if Store says so, before anything of the
	// decision takes effect. A nil one is to be deleted.
	Record *Record
	Store  bool
	Status Status
	// Events are what happened now, for people. They are given once.
	Events []Event
	// Plan says in words what is going on or would be, and why in this way.
	Plan []string
	// Wake is when to decide again if nothing happens before; 0 for never.
	Wake pod.Moment
}

// Ended is a pod that is not wanted any more.
type Ended struct {
	Key pod.Key
	Why string
}

// Fetch is an image that is to be made present without starting anything.
type Fetch struct {
	Image
	Policy corev1.PullPolicy
	// Secrets of the template that name credentials.
	Secrets []corev1.LocalObjectReference
}

// Event is something that happened to the workload, in words.
type Event struct {
	// Type is Normal or Warning.
	Type    string
	Reason  string
	Message string
}

// Status is the workload as people and programs see it, in the shape of the
// Kubernetes API. Of the pointers the one of its kind is set.
type Status struct {
	// Generation is the metadata.generation of the object.
	Generation int64
	// Revision is the number of the revision that pods are made of; 0 before
	// the first.
	Revision int64
	// Wanted is the number of the revision that is wanted, drift included; 0
	// before the first.
	Wanted     int64
	Deployment *appsv1.DeploymentStatus
	ReplicaSet *appsv1.ReplicaSetStatus
	DaemonSet  *appsv1.DaemonSetStatus
	// ReplicaSets are those of a Deployment. They are derived: one for each
	// revision.
	ReplicaSets []appsv1.ReplicaSet
	// Replicas is how many pods are wanted, drift included.
	Replicas int32
	// Paused tells whether rollouts are paused, drift included.
	Paused bool
	// Drift says what people changed against the manifest.
	Drift []string
	// Held is why a revision that is wanted does not become the target.
	Held string
	// Elsewhere is why this server does not run the workload at all; nobody
	// has to miss its pods then.
	Elsewhere string
	// Deleting tells that no source wants it and pods of it are left.
	Deleting bool
}

// wakeAt asks for a decision at m, or earlier if one was asked for.
func (d *Decision) wakeAt(m pod.Moment) {
	if d.Wake == 0 || m < d.Wake {
		d.Wake = m
	}
}

func (d *Decision) say(kind, reason, message string) {
	d.Events = append(d.Events, Event{Type: kind, Reason: reason, Message: message})
}
