package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// noSnapshot is answered until the agent has looked at the host once.
func noSnapshot() error {
	return apierrors.NewServiceUnavailable("podstead has just started and does not know its pods yet: try again in a moment")
}

func noPod(key pod.Key) error {
	return apierrors.NewNotFound(corev1.Resource("pods"), key.Name)
}

func noContainer(v pod.View, name string) error {
	return apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s, choose one of: [%s]",
		name, v.Instance.Name, strings.Join(containerNames(v.Pod), " ")))
}

func containerNames(p *corev1.Pod) []string {
	var names []string
	for _, c := range p.Spec.InitContainers {
		names = append(names, c.Name)
	}
	for _, c := range p.Spec.Containers {
		names = append(names, c.Name)
	}
	return names
}

func success() metav1.Status {
	return metav1.Status{TypeMeta: statusType(), Status: metav1.StatusSuccess, Code: http.StatusOK}
}

func statusType() metav1.TypeMeta { return metav1.TypeMeta{Kind: "Status", APIVersion: "v1"} }

// asStatus turns any error into a Status; one that is not made for clients
// becomes an internal error with its text.
func asStatus(err error) metav1.Status {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	status.TypeMeta = statusType()
	return status
}

func writeError(w http.ResponseWriter, err error) {
	status := asStatus(err)
	writeJSON(w, int(status.Code), status)
}

// writeJSON answers with one object. A client that went away is its own
// affair, so an error of writing is not looked at.
func writeJSON(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object)
}

func unknownPath(w http.ResponseWriter, r *http.Request) {
	writeError(w, &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		Message: fmt.Sprintf("podstead serves nothing for %s %s", r.Method, r.URL.Path),
	}})
}
