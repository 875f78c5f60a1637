// Package validation says what is wrong with an object before anything of it
// is started: everything that the Kubernetes API server would refuse in the
// fields that podstead supports, and what a single server can tell without
// asking the host. It is pure; whether a field is supported at all is decided
// by package manifest.
package validation

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// Error is one thing that is wrong with one field of an object.
type Error struct {
	// Field is the path in Kubernetes' notation: spec.containers[0].image,
	// and for entries of maps metadata.labels[app] or limits[memory].
	Field    string
	Reason   pod.Reason
	Severity pod.Severity
	// Message says in words what is wrong, to be read after the field.
	Message string
	// Got and Want are what was found, shortened when long, and what is
	// allowed. Either may be empty.
	Got, Want string
}

// String returns "FIELD: REASON: message (got X, want Y)", with "warning: "
// in front of a warning: what pod.Problem prints after the position.
func (e Error) String() string {
	line := pod.Problem{
		Severity: e.Severity, Reason: e.Reason, Field: e.Field,
		Message: e.Message, Got: e.Got, Want: e.Want,
	}.String()
	return strings.TrimPrefix(line, ": ")
}

// Limits bounds what one object may ask for where Kubernetes has no bound or
// a server may choose its own.
type Limits struct {
	// GraceSeconds is the largest terminationGracePeriodSeconds.
	GraceSeconds int64
	// Containers is the largest number of containers over all lists of a pod.
	Containers int
	// Replicas is the largest number of pods of one workload.
	Replicas int32
}

// DefaultLimits returns a grace period of at most one hour, and at most 1,000
// containers and replicas.
func DefaultLimits() Limits {
	return Limits{GraceSeconds: 3600, Containers: 1000, Replicas: pod.MaxReplicas}
}

// Pod returns everything that is wrong with a pod within DefaultLimits.
func Pod(p *corev1.Pod) []Error { return DefaultLimits().Pod(p) }

// Object returns everything that is wrong with an object of any kind within
// DefaultLimits.
func Object(o *pod.Object) []Error { return DefaultLimits().Object(o) }

// Pod returns everything that is wrong with a pod: all at once, in the order
// metadata, spec, volumes, init containers, containers. The same pod always
// gives the same list. Fields with a default may be set or still be empty.
// The pod is not changed.
func (l Limits) Pod(p *corev1.Pod) []Error {
	c := &checker{limits: l, pod: p}
	c.metadata(&p.ObjectMeta, field.NewPath("metadata"))
	c.probeAnnotations(p.Annotations, field.NewPath("metadata", "annotations"))
	c.ownAnnotations(p.Annotations, field.NewPath("metadata", "annotations"), nil)
	c.whole(&p.Spec)
	return c.errs
}

// Object returns everything that is wrong with an object of any kind, in the
// order of its fields. Its fields with a default are set. Like Pod, it always
// gives the same list and changes nothing.
func (l Limits) Object(o *pod.Object) []Error {
	c := &checker{limits: l}
	switch {
	case o.Pod != nil:
		return l.Pod(o.Pod)
	case o.Deployment != nil:
		c.deployment(o.Deployment)
	case o.ReplicaSet != nil:
		c.replicaSet(o.ReplicaSet)
	case o.DaemonSet != nil:
		c.daemonSet(o.DaemonSet)
	case o.Service != nil:
		c.service(o.Service)
	case o.EndpointSlice != nil:
		c.endpointSlice(o.EndpointSlice)
	}
	return c.errs
}

// checker collects what is wrong with one object.
type checker struct {
	limits Limits
	// pod is the pod that is looked at: the object itself, or what a template
	// stands for, whose fields are then below at.
	pod  *corev1.Pod
	at   *field.Path
	errs []Error
	// rootReported: the pod's own runAsUser was refused already.
	rootReported bool
}

// whole checks all of a pod but its metadata.
func (c *checker) whole(s *corev1.PodSpec) {
	spec := c.at.Child("spec")
	c.spec(s, spec)
	c.volumes(s.Volumes, spec.Child("volumes"))
	c.containers(s, spec)
}

// finding is what an Error says beside its field and reason.
type finding struct{ message, got, want string }

func (c *checker) refuse(at *field.Path, reason pod.Reason, f finding) {
	c.add(at, reason, pod.Error, f)
}

func (c *checker) warn(at *field.Path, reason pod.Reason, f finding) {
	c.add(at, reason, pod.Warning, f)
}

func (c *checker) add(at *field.Path, reason pod.Reason, severity pod.Severity, f finding) {
	c.errs = append(c.errs, Error{
		Field: at.String(), Reason: reason, Severity: severity,
		Message: f.message, Got: f.got, Want: f.want,
	})
}

// refuseAll reports a value that one of apimachinery's own checks refused.
func (c *checker) refuseAll(at *field.Path, reason pod.Reason, value string, messages []string) {
	for _, m := range messages {
		c.refuse(at, reason, finding{message: m, got: quote(value)})
	}
}

// oneOf refuses a value that is set and not among those allowed.
func oneOf[T ~string](c *checker, at *field.Path, value T, allowed ...T) {
	if value == "" {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		if a == value {
			return
		}
		words[i] = string(a)
	}
	c.refuse(at, pod.ReasonInvalid, finding{"is not a known value", quote(string(value)), anyOf(words)})
}

// inRange refuses a number outside low..high and tells whether it was within.
func (c *checker) inRange(at *field.Path, reason pod.Reason, value, low, high int64) bool {
	if value >= low && value <= high {
		return true
	}
	c.refuse(at, reason, finding{"is out of range", strconv.FormatInt(value, 10), fmt.Sprintf("%d to %d", low, high)})
	return false
}

// longestGot keeps a hostile value from filling logs and terminals.
const longestGot = 80

// quote returns s as a Go string literal, cut when it is long.
func quote(s string) string {
	if len(s) > longestGot {
		return fmt.Sprintf("%q... of %d bytes", s[:longestGot], len(s))
	}
	return strconv.Quote(s)
}

// entry returns the path of an entry of a map. A key that would garble a
// terminal is quoted.
func entry(at *field.Path, key string) *field.Path {
	if q := quote(key); q != `"`+key+`"` {
		return at.Key(q)
	}
	return at.Key(key)
}

// anyOf joins words to "a, b or c".
func anyOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
