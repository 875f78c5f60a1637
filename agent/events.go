package agent

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

const (
	maxEvents = 1000
	normal    = corev1.EventTypeNormal
	warning   = corev1.EventTypeWarning
	targetPod = plan.TargetPod
)

// recorder keeps the latest events. The same event of the same object is
// counted, not repeated.
type recorder struct {
	list []corev1.Event
	next int
}

func newRecorder() *recorder { return &recorder{} }

// add changes no element that is there, so that snapshots can share the list.
func (r *recorder) add(e corev1.Event, now metav1.Time) {
	if i := r.find(&e); i >= 0 {
		e = r.list[i]
		r.list = slices.Concat(r.list[:i], r.list[i+1:])
	} else {
		r.next++
		e.Name = fmt.Sprintf("%s.%x", strings.ToLower(orDefault(e.InvolvedObject.Name, "node")), r.next)
		e.FirstTimestamp = now
	}
	e.Count++
	e.LastTimestamp = now
	e.ResourceVersion = strconv.Itoa(r.next)
	r.list = append(r.list, e)
	r.list = r.list[max(0, len(r.list)-maxEvents):]
}

// find returns where the same event is, or -1.
func (r *recorder) find(e *corev1.Event) int {
	for i := range r.list {
		o := &r.list[i]
		if o.InvolvedObject == e.InvolvedObject && o.Reason == e.Reason && o.Message == e.Message {
			return i
		}
	}
	return -1
}

// all returns the list as it is now; it stays so.
func (r *recorder) all() []corev1.Event { return slices.Clip(r.list) }

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// event records something that people want to know of a pod, and logs it. A
// zero key means the node.
func (l *loop) event(key pod.Key, kind, reason, message string) {
	l.eventOf(pod.ObjectKey{Kind: pod.KindPod, Key: key}, kind, reason, message)
}

// eventOf is event for an object of any kind; one of which only the name can
// be told counts as a pod.
func (l *loop) eventOf(key pod.ObjectKey, kind, reason, message string) {
	if key.Kind == "" {
		key.Kind = pod.KindPod
	}
	now := metav1.NewTime(l.cfg.Now().Wall)
	object := corev1.ObjectReference{Kind: "Node", APIVersion: "v1", Name: l.cfg.Node.Name}
	namespace := metav1.NamespaceDefault
	if key.Key != (pod.Key{}) {
		object = corev1.ObjectReference{
			Kind: string(key.Kind), APIVersion: key.Kind.APIVersion(), Namespace: key.Namespace, Name: key.Name,
		}
		namespace = key.Namespace
		if ps := l.pods[key.Key]; key.Kind == pod.KindPod && ps != nil && ps.lastInstance > 0 {
			object.UID = types.UID(l.uid(pod.Instance{Key: key.Key, Number: ps.lastInstance}))
		}
		if key.Kind != pod.KindPod {
			object.UID = pod.ObjectUID(l.cfg.Node.ID, key)
		}
	}
	l.events.add(corev1.Event{
		TypeMeta:       metav1.TypeMeta{Kind: "Event", APIVersion: "v1"},
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, CreationTimestamp: now},
		InvolvedObject: object,
		Reason:         reason, Message: message, Type: kind,
		Source: corev1.EventSource{Component: "podstead", Host: l.cfg.Node.Name},
	}, now)
	l.unpublished = true
	about := object.Kind + "/" + object.Name
	if key.Key != (pod.Key{}) {
		about = object.Kind + "/" + key.Key.String()
	}
	log := l.cfg.Log.Info
	if kind == warning {
		log = l.cfg.Log.Warn
	}
	log(message, zap.String("reason", reason), zap.String("object", about))
}

// succeeded tells of an operation that changed something.
func (l *loop) succeeded(ps *podState, a plan.Action) {
	switch a := a.(type) {
	case plan.Start:
		l.countStart(ps, a)
		c := ps.containers[pod.ContainerID(l.uid(l.instance(ps, a.Instance)), a.Container, a.Attempt)]
		switch c.State {
		case pod.StateRunning:
			l.event(ps.key, normal, "Started", fmt.Sprintf("Started container %s (attempt %d)", a.Container, a.Attempt))
		case pod.StateDead: // its process could not be started
			l.exitEvent(ps, c)
		}
	case plan.Stop:
		if !a.Since.IsZero() {
			return // told when its preStop hook was begun
		}
		l.event(ps.key, normal, "Killing", fmt.Sprintf("Stopping container %s, grace %s: %s", a.Container, a.Grace, a.Reason))
	case plan.Kill:
		l.event(ps.key, warning, "Killing", fmt.Sprintf("Killing container %s: its grace is over", a.Container))
	case plan.Amend:
		l.event(ps.key, normal, "Amended", fmt.Sprintf("Applied the change of %s in place", a.Desired.Origin.File))
	}
}

// exitEvent tells how a run ended.
func (l *loop) exitEvent(ps *podState, c pod.Container) {
	kind := normal
	if c.Exit.Code != 0 && c.Stopping == nil {
		kind = warning
	}
	text := fmt.Sprintf("Container %s ended: %s, exit code %d", c.Name, c.Exit.Reason, c.Exit.Code)
	if c.Exit.Signal != 0 {
		text += fmt.Sprintf(", signal %d", c.Exit.Signal)
	}
	if c.Exit.Message != "" {
		text += ": " + c.Exit.Message
	}
	l.event(ps.key, kind, orDefault(c.Exit.Reason, "Exited"), text)
}

func (l *loop) pulledEvent(key pod.Key, a plan.Pull, img pod.Image, note string) {
	if note != "" {
		l.event(key, warning, "PullFailed", note)
		return
	}
	l.event(key, normal, "Pulled", fmt.Sprintf("Image %q is present (%s)", a.Image, img.Digest))
}
