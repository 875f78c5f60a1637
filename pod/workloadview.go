package pod

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkloadView is a Deployment, ReplicaSet or DaemonSet as people and programs
// see it. A ReplicaSet that belongs to a Deployment is in ReplicaSets of that
// one. Nobody changes it.
type WorkloadView struct {
	ObjectKey
	// The pointer of the kind is set. It is in the shape of the Kubernetes API:
	// the manifest as it was wanted last, with UID, generation and status.
	Deployment *appsv1.Deployment
	ReplicaSet *appsv1.ReplicaSet
	DaemonSet  *appsv1.DaemonSet
	// ReplicaSets are those of a Deployment, one for each revision, by number.
	ReplicaSets []appsv1.ReplicaSet

	Origin   Origin
	Problems []Problem
	// Replicas is how many pods are wanted, drift included.
	Replicas int32
	// Paused tells whether rollouts are paused, drift included.
	Paused bool
	// Drift says what people changed against the manifest, in words.
	Drift []string
	// Held is why a revision that is wanted is not rolled out yet.
	Held string
	// Elsewhere is why this server does not run the workload at all.
	Elsewhere string
	// Deleting tells that no source wants it and pods of it are left.
	Deleting bool
	// Plan says in words what is going on, and why in this way.
	Plan []string
	// Revision is the number of the revision that pods are made of; 0 before
	// the first.
	Revision int64
	// Wanted is the number of the revision that is wanted, drift included: a
	// rollout goes from Revision to it, unless it failed. 0 before the first.
	Wanted int64
	// Revisions are sorted by number.
	Revisions []RevisionView
	// Events are the latest events about it, oldest first.
	Events []corev1.Event
}

// Meta is the metadata of the object; nil for a zero view.
func (v *WorkloadView) Meta() *metav1.ObjectMeta {
	switch {
	case v.Deployment != nil:
		return &v.Deployment.ObjectMeta
	case v.ReplicaSet != nil:
		return &v.ReplicaSet.ObjectMeta
	case v.DaemonSet != nil:
		return &v.DaemonSet.ObjectMeta
	}
	return nil
}

// Failed returns the revision that is wanted if it failed; nil if it did not.
func (v *WorkloadView) Failed() *RevisionView {
	for i := range v.Revisions {
		if r := &v.Revisions[i]; r.Number == v.Wanted && r.Failure != nil {
			return r
		}
	}
	return nil
}

// RolledBack tells that pods are made of another revision than the one that is
// wanted, since that one failed.
func (v *WorkloadView) RolledBack() bool { return v.Failed() != nil && v.Revision != v.Wanted }

// RevisionView is one version of a workload's pods.
type RevisionView struct {
	Number   int64                   `json:"number"`
	Hash     string                  `json:"hash"`
	Template *corev1.PodTemplateSpec `json:"template"`
	Created  time.Time               `json:"created"`
	// Good tells that it can be gone back to.
	Good bool `json:"good,omitempty"`
	// Ran are the digests of the images that its containers ran well, by
	// container; it comes back with these, whatever their tags mean by then.
	Ran map[string]string `json:"ran,omitempty"`
	// Failure is set for a revision that failed.
	Failure *RevisionFailure `json:"failure,omitempty"`
}

// RevisionFailure is why a revision failed, and what was seen then.
type RevisionFailure struct {
	// Reason is one word: ProgressDeadlineExceeded, CrashLoop or Unhealthy.
	Reason  string      `json:"reason"`
	Message string      `json:"message"`
	At      time.Time   `json:"at"`
	Pods    []FailedPod `json:"pods,omitempty"`
}

// FailedPod is what is kept of a pod that failed.
type FailedPod struct {
	Name     string    `json:"name"`
	Crashes  int       `json:"crashes,omitempty"`
	Troubles []Trouble `json:"troubles,omitempty"`
	// Events are the latest ones about it, in words, oldest first.
	Events []string `json:"events,omitempty"`
}

// Trouble is how one container failed last.
type Trouble struct {
	Container string `json:"container"`
	// Reason is one word, such as OOMKilled, Error or Unhealthy.
	Reason string `json:"reason"`
	// ExitCode is that of the last run that ended; nil if none did.
	ExitCode *int `json:"exitCode,omitempty"`
	// Probe is what the probe that fails says; empty if none does.
	Probe string `json:"probe,omitempty"`
	// LogTail holds the last lines of output of the run that failed.
	LogTail []string `json:"logTail,omitempty"`
}

// String says in words how the container failed.
func (t Trouble) String() string {
	text := fmt.Sprintf("container %s: %s", t.Container, t.Reason)
	if t.ExitCode != nil {
		text += fmt.Sprintf(", exit code %d", *t.ExitCode)
	}
	if t.Probe != "" {
		text += ", " + t.Probe
	}
	return text
}

// ServiceView is a Service as people and programs see it. Nobody changes it.
type ServiceView struct {
	// Service is in the shape of the Kubernetes API, with the addresses and
	// ports that it was given, and its status.
	Service *corev1.Service
	// Slices are its endpoints, those written by hand among them.
	Slices   []discoveryv1.EndpointSlice
	Origin   Origin
	Problems []Problem
}

// RolloutVerb is what a person asks of a workload.
type RolloutVerb string

// The verbs, as the command line has them.
const (
	Scale          RolloutVerb = "scale"
	RolloutUndo    RolloutVerb = "undo"
	RolloutPause   RolloutVerb = "pause"
	RolloutResume  RolloutVerb = "resume"
	RolloutRestart RolloutVerb = "restart"
	RolloutReset   RolloutVerb = "reset"
)

// RolloutCommand is one thing that a person asks of a workload.
type RolloutCommand struct {
	Verb RolloutVerb `json:"verb"`
	// Replicas is for Scale.
	Replicas int32 `json:"replicas,omitempty"`
	// Revision is the number that RolloutUndo goes to; 0 for the one before.
	Revision int64 `json:"revision,omitempty"`
}

// Change is what applying manifests would do to one object.
type Change struct {
	ObjectKey
	// Verb is one of created, changed, deleted and unchanged.
	Verb string `json:"verb"`
	// Before and After are the manifests, nil where there is none.
	Before *Object `json:"before,omitempty"`
	After  *Object `json:"after,omitempty"`
	// Plan says in words what would happen to running pods, and why in this
	// way.
	Plan []string `json:"plan,omitempty"`
	// Problems are what the source of the manifest would refuse: nothing would
	// change then.
	Problems []Problem `json:"problems,omitempty"`
}
