package plan

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Action is an operation to begin. Target names what it locks: one operation
// per target runs at a time. Name is the key under which its failure is kept.
// String is what stories and logs show.
type Action interface {
	Target() string
	Name() string
	String() string
}

// TargetPod is the target of everything that makes or deletes tasks of a pod.
const TargetPod = "pod"

// Pull makes an image present: by policy, from the registry if need be.
type Pull struct {
	Image    string
	Policy   corev1.PullPolicy
	Instance int
}

// Prepare makes the sandbox, cgroup and volumes of an instance.
type Prepare struct {
	Instance int
	Desired  *pod.Desired
}

// Start makes and starts one run of a container. For a pause container Image
// is empty.
type Start struct {
	Instance  int
	Container string
	Role      pod.Role
	Attempt   int
	Failures  int
	Image     pod.Image
	Desired   *pod.Desired
	// PausePID is the process whose PID namespace is to be joined, 0 for none.
	PausePID int
}

// Stop records the intent to stop a container, which the agent stamps with
// the time, and sends its stop signal.
type Stop struct {
	ID        string
	Container string
	Scope     pod.StopScope
	Grace     time.Duration
	Reason    string
	// Failure tells that the container failed (see pod.Stopping).
	Failure bool
	// Hold records the intent and sends nothing yet: the preStop hook comes
	// before the signal.
	Hold bool
	// Since is when the preStop hook was begun, from which the grace counts;
	// zero without a hook: then it counts from the signal.
	Since pod.Stamp
}

// Hook runs a lifecycle hook of a running container, once it has a verdict
// that is over, well or not.
type Hook struct {
	ID        string
	Container string
	Kind      pod.ProbeKind
	Handler   *corev1.LifecycleHandler
	// Spec is the container, Host the address that HTTP hooks go to unless
	// they name one.
	Spec *corev1.Container
	Host string
	// Deadline cuts it off; 0 for never.
	Deadline pod.Moment
}

// Kill sends SIGKILL.
type Kill struct{ ID, Container string }

// Reap collects an exited container.
type Reap struct{ ID, Container string }

// Remove deletes the record of a dead container that is not needed any more.
type Remove struct{ ID, Container string }

// Amend changes in place what can be changed in place (limits, labels,
// annotations, grace) and records the wanted pod with the containers named.
// Limits that the host forgot are set again.
type Amend struct {
	Instance int
	Desired  *pod.Desired
	IDs      []string
}

// Teardown removes everything that is left of an instance.
type Teardown struct{ Instance int }

func (a Pull) Target() string     { return "image:" + a.Image }
func (a Prepare) Target() string  { return TargetPod }
func (a Start) Target() string    { return TargetPod }
func (a Stop) Target() string     { return "container:" + a.ID }
func (a Hook) Target() string     { return string(a.Kind) + ":" + a.ID }
func (a Kill) Target() string     { return "container:" + a.ID }
func (a Reap) Target() string     { return TargetPod }
func (a Remove) Target() string   { return TargetPod }
func (a Amend) Target() string    { return TargetPod }
func (a Teardown) Target() string { return TargetPod }

func (a Pull) Name() string     { return "pull " + a.Image }
func (a Prepare) Name() string  { return fmt.Sprintf("prepare #%d", a.Instance) }
func (a Start) Name() string    { return startName(a.Instance, a.Container) }
func (a Stop) Name() string     { return "stop " + a.ID }
func (a Hook) Name() string     { return string(a.Kind) + " " + a.ID }
func (a Kill) Name() string     { return "kill " + a.ID }
func (a Reap) Name() string     { return "reap " + a.ID }
func (a Remove) Name() string   { return "remove " + a.ID }
func (a Amend) Name() string    { return fmt.Sprintf("amend #%d", a.Instance) }
func (a Teardown) Name() string { return fmt.Sprintf("teardown #%d", a.Instance) }

func startName(instance int, container string) string {
	return fmt.Sprintf("start #%d %s", instance, container)
}

func (a Pull) String() string     { return fmt.Sprintf("pull %s (%s)", a.Image, a.Policy) }
func (a Prepare) String() string  { return a.Name() }
func (a Start) String() string    { return fmt.Sprintf("%s attempt %d", a.Name(), a.Attempt) }
func (a Kill) String() string     { return "kill " + a.Container }
func (a Reap) String() string     { return "reap " + a.Container }
func (a Remove) String() string   { return "remove " + a.Container }
func (a Teardown) String() string { return a.Name() }
func (a Amend) String() string    { return fmt.Sprintf("%s (%d containers)", a.Name(), len(a.IDs)) }

func (a Hook) String() string { return fmt.Sprintf("%s of %s", a.Kind, a.Container) }

func (a Stop) String() string {
	verb := "stop"
	if a.Hold {
		verb = "begin to stop"
	}
	return fmt.Sprintf("%s %s (%s, grace %s): %s", verb, a.Container, a.Scope, a.Grace, a.Reason)
}
