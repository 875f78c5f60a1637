package api

import (
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/podstead/podstead/pod"
)

// podSelection says which pods of a snapshot are wanted.
type podSelection struct {
	// namespace and name restrict when they are not empty.
	namespace, name string
	// everything tells that there are no selectors.
	everything bool
	labels     labels.Selector
	fields     fields.Selector
}

func selectPods(r *http.Request) (podSelection, error) {
	l, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return podSelection{}, apierrors.NewBadRequest("labelSelector: " + err.Error())
	}
	f, err := selectFields(r, podFields(&corev1.Pod{}))
	if err != nil {
		return podSelection{}, err
	}
	return podSelection{
		namespace: r.PathValue("namespace"), everything: l.Empty() && f.Empty(), labels: l, fields: f,
	}, nil
}

func (s podSelection) pods(snap *pod.Snapshot) []entry {
	var found []entry
	for _, v := range snap.Pods {
		if s.matches(v) {
			found = append(found, entry{id: v.Instance.String(), object: v.Pod})
		}
	}
	return found
}

func (s podSelection) matches(v pod.View) bool {
	if s.namespace != "" && s.namespace != v.Instance.Namespace || s.name != "" && s.name != v.Instance.Name {
		return false
	}
	return s.everything || s.labels.Matches(labels.Set(v.Pod.Labels)) && s.fields.Matches(podFields(v.Pod))
}

func podFields(p *corev1.Pod) fields.Set {
	return fields.Set{
		"metadata.name": p.Name, "metadata.namespace": p.Namespace,
		"spec.nodeName": p.Spec.NodeName, "spec.restartPolicy": string(p.Spec.RestartPolicy),
		"status.phase": string(p.Status.Phase), "status.podIP": p.Status.PodIP,
	}
}

// eventSelection says which events of a snapshot are wanted.
type eventSelection struct {
	namespace string
	fields    fields.Selector
}

func selectEvents(r *http.Request) (eventSelection, error) {
	f, err := selectFields(r, eventFields(&corev1.Event{}))
	return eventSelection{namespace: r.PathValue("namespace"), fields: f}, err
}

func (s eventSelection) events(snap *pod.Snapshot) []entry {
	var found []entry
	for i := range snap.Events {
		e := &snap.Events[i]
		if (s.namespace == "" || s.namespace == e.Namespace) && s.fields.Matches(eventFields(e)) {
			found = append(found, entry{id: e.Namespace + "/" + e.Name, object: e})
		}
	}
	return found
}

func eventFields(e *corev1.Event) fields.Set {
	return fields.Set{
		"metadata.name": e.Name, "metadata.namespace": e.Namespace, "type": e.Type, "reason": e.Reason,
		"involvedObject.kind": e.InvolvedObject.Kind, "involvedObject.name": e.InvolvedObject.Name,
		"involvedObject.namespace": e.InvolvedObject.Namespace, "involvedObject.uid": string(e.InvolvedObject.UID),
	}
}

// selectFields refuses fields that can't be selected on; known has all that
// can.
func selectFields(r *http.Request, known fields.Set) (fields.Selector, error) {
	s, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	if err != nil {
		return nil, apierrors.NewBadRequest("fieldSelector: " + err.Error())
	}
	for _, want := range s.Requirements() {
		if !known.Has(want.Field) {
			return nil, apierrors.NewBadRequest("fieldSelector: field " + want.Field + " can't be selected on")
		}
	}
	return s, nil
}
