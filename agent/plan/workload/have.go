package workload

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Settings are what the decisions know of this server, and their constants.
type Settings struct {
	// NodeID is stable for the life of the installation; the UIDs of owners
	// are derived from it.
	NodeID string
	// BootID is the kernel's random boot id: moments of another boot stand
	// for before this one.
	BootID string
	// Node is this server as selectors see it: its name, labels and taints.
	Node *corev1.Node
	// CrashLimit is how often one pod may crash in a rollout before its
	// revision has failed.
	CrashLimit int
	// ProgressDeadline is that of kinds which have no field for it.
	ProgressDeadline time.Duration
}

// DefaultSettings are the constants: three crashes, and Kubernetes' ten
// minutes.
func DefaultSettings() Settings {
	return Settings{CrashLimit: 3, ProgressDeadline: 10 * time.Minute, Node: &corev1.Node{}}
}

// Want is what is wanted of one workload.
type Want struct {
	// Object is the wanted workload; nil when no source wants it.
	Object *pod.Object
	// Keep says that nobody can tell now whether it is wanted (its source was
	// not read yet, its file is unreadable): it goes on as its record has it,
	// whatever Object says.
	Keep bool
	// Gone says in words why it is not wanted.
	Gone string
}

// Have is what was observed of one workload.
type Have struct {
	// RuntimeUp is false while containerd can't be asked. Nothing is decided
	// then.
	RuntimeUp bool
	// Halted tells that every pod is being stopped for a time: nobody is to
	// blame for that, and rollouts go on afterwards.
	Halted bool
	// Pods are those that are wanted since the last decision and those of
	// which something exists, in any order.
	Pods []Pod
	// Others are pods that belong to somebody else: their names are not to be
	// had.
	Others map[pod.Key]bool
	// Images is what came of the images that Decision.Fetch asked for.
	Images map[Image]Fetched
	// Free is what cpu and memory this server can give beside all pods that
	// are wanted or still there, this workload's too. Of a resource that is
	// not in it there is enough.
	Free corev1.ResourceList
	// Taken are the ports of the host that somebody else holds than the pods
	// of this workload, and those of which nobody knows yet who does.
	Taken []Taken
	// Record is what was stored last; nil for a workload that is new, or of
	// which it was lost.
	Record *Record
	// Shown is the status of the decision before. It is kept in memory only:
	// without it the times of conditions begin anew.
	Shown *Status
}

// Pod is one pod of the workload.
type Pod struct {
	Key pod.Key
	// Revision is the hash of the revision that it was made of, as its label
	// says (see HashLabel).
	Revision string
	// Desired is the pod as it is wanted, or as it was recorded where only
	// that is known; nil if its record can't be read.
	Desired *pod.Desired
	// Images are the digests of the images that its containers run or ran last,
	// by container.
	Images map[string]string
	// Stopping tells that it is not wanted any more, or was told to stop.
	Stopping bool
	// Serving tells that Services may send it traffic. One that is stopping and
	// serves has not been told to stop yet.
	Serving bool
	// Ready is since when it is ready; zero while it is not.
	Ready pod.Stamp
	// Excused tells that it is not ready because somebody had it stopped or
	// restarted, and not since it failed.
	Excused bool
	// Crashes counts the runs of its containers that ended by themselves or
	// were ended because a probe or hook failed.
	Crashes int
	// Blocked is why it can't start now although nothing is wrong with it: its
	// image can't be pulled, its port is taken. Empty if nothing keeps it.
	Blocked string
	// Troubles say how its containers failed last.
	Troubles []pod.Trouble
	// Events are the latest events about it, in words, oldest first.
	Events []string
}

// Image is an image as one revision of a workload needs it.
type Image struct {
	Name string
	// Revision is the revision's hash: with imagePullPolicy Always each
	// revision resolves its names anew.
	Revision string
}

// Fetched is what came of fetching an image.
type Fetched struct {
	// Present tells that it is here, unpacked and checked.
	Present bool
	// Problem is why it can't be had, in words; empty while it is fetched.
	Problem string
}

// Taken is a port of the host that is not to be had.
type Taken struct {
	pod.HostPort
	// By names who has it, in words.
	By string
}
