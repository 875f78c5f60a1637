package agent

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// viewWorkload brings what people see of a workload up to date. Problems and
// events are added when a snapshot is published.
func (l *loop) viewWorkload(ws *workloadState) {
	l.unpublished = true
	object := l.objects[ws.key].Object
	if object == nil && ws.record != nil {
		object = &ws.record.Manifest
	}
	if object == nil {
		if ws.view.ObjectKey != (pod.ObjectKey{}) {
			ws.view.Deleting = true
		}
		return
	}
	st := &workload.Status{}
	if ws.status != nil {
		st = ws.status
	}
	v := pod.WorkloadView{
		ObjectKey: ws.key, Origin: object.Origin, ReplicaSets: st.ReplicaSets,
		Replicas: st.Replicas, Paused: st.Paused, Drift: st.Drift, Held: st.Held, Elsewhere: st.Elsewhere,
		Deleting: st.Deleting, Plan: ws.plan, Revision: st.Revision, Wanted: st.Wanted,
	}
	if s := ws.storing; s.problem != "" {
		v.Held = "its record can't be stored, so what was decided waits and what runs stays: " + s.problem
	}
	if ws.record != nil {
		v.Revisions = revisionViews(ws.record)
	}
	l.shape(&v, object, st, ws)
	ws.view = v
}

// shape makes the object in the shape of the Kubernetes API.
func (l *loop) shape(v *pod.WorkloadView, object *pod.Object, st *workload.Status, ws *workloadState) {
	meta := func(m *metav1.ObjectMeta) {
		m.UID = pod.ObjectUID(l.cfg.Node.ID, ws.key)
		m.Generation = max(st.Generation, 1) // before the first decision nothing is observed yet
		m.CreationTimestamp = metav1.NewTime(ws.created())
		if v.Deleting {
			now := metav1.NewTime(l.cfg.Now().Wall)
			m.DeletionTimestamp = &now
			if before := ws.view.Meta(); before != nil && before.DeletionTimestamp != nil {
				m.DeletionTimestamp = before.DeletionTimestamp
			}
		}
	}
	switch {
	case object.Deployment != nil:
		d := *object.Deployment
		meta(&d.ObjectMeta)
		if st.Deployment != nil {
			d.Status = *st.Deployment
		}
		v.Deployment = &d
	case object.ReplicaSet != nil:
		r := *object.ReplicaSet
		meta(&r.ObjectMeta)
		if st.ReplicaSet != nil {
			r.Status = *st.ReplicaSet
		}
		v.ReplicaSet = &r
	case object.DaemonSet != nil:
		d := *object.DaemonSet
		meta(&d.ObjectMeta)
		if st.DaemonSet != nil {
			d.Status = *st.DaemonSet
		}
		v.DaemonSet = &d
	}
}

// created is when the workload was first wanted, as far as that is known.
func (ws *workloadState) created() time.Time {
	first := ws.seen
	if ws.record != nil {
		for i := range ws.record.Revisions {
			if at := ws.record.Revisions[i].Created.Wall; at.Before(first) {
				first = at
			}
		}
	}
	return first
}

func revisionViews(r *workload.Record) []pod.RevisionView {
	views := make([]pod.RevisionView, 0, len(r.Revisions))
	for i := range r.Revisions {
		rev := &r.Revisions[i]
		v := pod.RevisionView{Number: rev.Number, Hash: rev.Hash, Template: rev.Template, Created: rev.Created.Wall, Good: rev.Good, Ran: rev.Ran}
		if f := rev.Failure; f != nil {
			v.Failure = &pod.RevisionFailure{Reason: string(f.Reason), Message: f.Message, At: f.At.Wall, Pods: f.Pods}
		}
		views = append(views, v)
	}
	return views
}

// workloadViews are those of all workloads, with their problems and events.
func (l *loop) workloadViews(events []corev1.Event) []pod.WorkloadView {
	if len(l.workloads) == 0 {
		return nil
	}
	told := map[pod.ObjectKey][]corev1.Event{}
	for i := range events {
		o := &events[i].InvolvedObject
		key := pod.ObjectKey{Kind: pod.Kind(o.Kind), Key: pod.Key{Namespace: o.Namespace, Name: o.Name}}
		if l.workloads[key] != nil {
			told[key] = append(told[key], events[i])
		}
	}
	views := make([]pod.WorkloadView, 0, len(l.workloads))
	for _, key := range sortedObjects(l.workloads) {
		v := l.workloads[key].view
		if v.ObjectKey == (pod.ObjectKey{}) {
			continue // nothing is known of it but a pod that is on its way out
		}
		v.Problems, v.Events = l.problems(key, v.Origin), told[key]
		views = append(views, v)
	}
	return views
}
