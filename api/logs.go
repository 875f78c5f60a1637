package api

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/podstead/podstead/pod"
)

// log streams the log of a container as Kubernetes does.
func (s *Server) log(w http.ResponseWriter, r *http.Request) {
	view, err := s.find(r)
	if err != nil {
		writeError(w, err)
		return
	}
	c, err := pickContainer(view, r.URL.Query().Get("container"))
	if err != nil {
		writeError(w, err)
		return
	}
	request, err := s.logRequest(r, view, c)
	if err != nil {
		writeError(w, err)
		return
	}
	out := &streamWriter{w: w, flush: http.NewResponseController(w).Flush}
	w.Header().Set("Content-Type", "text/plain")
	if request.Follow {
		out.begin()
	}
	err = s.cfg.Logs.Read(r.Context(), request, out)
	if err != nil && !out.begun {
		writeError(w, fmt.Errorf("read the log of container %s of pod %s: %w", c.Name, view.Instance.Key, err))
	}
}

func (s *Server) logRequest(r *http.Request, view pod.View, c pod.ContainerView) (LogRequest, error) {
	q := LogRequest{Dir: filepath.Dir(c.LogPath), Attempt: attempt(c.LogPath)}
	var err, e error
	for name, to := range map[string]*bool{"follow": &q.Follow, "previous": &q.Previous, "timestamps": &q.Timestamps} {
		if *to, e = flag(r, name); e != nil {
			err = e
		}
	}
	if q.TailLines, e = number(r, "tailLines"); e != nil {
		err = e
	}
	if q.Since, e = since(r, time.Now()); e != nil {
		err = e
	}
	limit, e := number(r, "limitBytes")
	if e != nil {
		err = e
	}
	if err != nil {
		return LogRequest{}, err
	}
	if limit != nil {
		q.LimitBytes = *limit
	}
	q.Ended = func() bool { return ended(s.cfg.Snapshots.Latest(), view.Instance, c.Name) }
	return q, hasLog(view, c, q.Previous)
}

// hasLog refuses to read what can't be there, in the words of Kubernetes.
func hasLog(view pod.View, c pod.ContainerView, previous bool) error {
	status := containerStatus(view.Pod, c.Name)
	switch {
	case previous && (attempt(c.LogPath) == 0 || c.LogPath == ""):
		return apierrors.NewBadRequest(fmt.Sprintf("previous terminated container %q in pod %q not found", c.Name, view.Instance.Name))
	case c.LogPath == "" && status != nil && status.State.Waiting != nil:
		return apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q is waiting to start: %s",
			c.Name, view.Instance.Name, status.State.Waiting.Reason))
	case c.LogPath == "":
		return apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q was not started yet", c.Name, view.Instance.Name))
	}
	return nil
}

// attempt reads the number of a run from the name of its log file, N.log.
func attempt(logPath string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(logPath), ".log"))
	if err != nil {
		return 0
	}
	return n
}

// ended tells that a container of an instance writes nothing more: the
// instance is gone or finished, or the container ended and its policy does
// not start it again.
func ended(snap *pod.Snapshot, instance pod.Instance, container string) bool {
	if snap == nil {
		return false
	}
	for _, v := range snap.Pods {
		if v.Instance != instance {
			continue
		}
		if p := v.Pod.Status.Phase; p == corev1.PodSucceeded || p == corev1.PodFailed {
			return true
		}
		status := containerStatus(v.Pod, container)
		return status != nil && status.State.Terminated != nil &&
			!startsAgain(v.Pod, container, status.State.Terminated.ExitCode)
	}
	return true
}

func startsAgain(p *corev1.Pod, container string, code int32) bool {
	policy := p.Spec.RestartPolicy
	if spec := pod.ContainerSpec(p, container); spec != nil && spec.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*spec.RestartPolicy)
	}
	switch {
	case p.DeletionTimestamp != nil || policy == corev1.RestartPolicyNever:
		return false
	case policy == corev1.RestartPolicyOnFailure || pod.RoleOf(p, container) == pod.RoleInit:
		return code != 0
	default:
		return true
	}
}

// pickContainer finds the container asked for; a pod's only one need not be
// named.
func pickContainer(v pod.View, name string) (pod.ContainerView, error) {
	if name == "" {
		if len(v.Pod.Spec.Containers) != 1 {
			return pod.ContainerView{}, apierrors.NewBadRequest(fmt.Sprintf(
				"a container name must be specified for pod %s, choose one of: [%s]",
				v.Instance.Name, strings.Join(containerNames(v.Pod), " ")))
		}
		name = v.Pod.Spec.Containers[0].Name
	}
	for _, c := range v.Containers {
		if c.Name == name {
			return c, nil
		}
	}
	if pod.ContainerSpec(v.Pod, name) != nil {
		return pod.ContainerView{Name: name}, nil
	}
	return pod.ContainerView{}, noContainer(v, name)
}

func containerStatus(p *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// streamWriter sends each write to the client at once.
type streamWriter struct {
	w     http.ResponseWriter
	flush func() error
	begun bool
}

func (s *streamWriter) begin() {
	s.begun = true
	s.w.WriteHeader(http.StatusOK)
	_ = s.flush()
}

func (s *streamWriter) Write(b []byte) (int, error) {
	s.begun = true
	n, err := s.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, s.flush()
}
