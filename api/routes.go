package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/podstead/podstead/pod"
)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/pods", s.pods)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods", s.pods)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{name}", s.pod)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{name}/log", s.log)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{name}/exec", s.exec)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{name}/portforward", s.portForward)
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/events", s.events)
	mux.HandleFunc("GET /apis/metrics.k8s.io/v1beta1/pods", s.metrics)
	mux.HandleFunc("GET /apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods", s.metrics)
	mux.HandleFunc("GET /apis/metrics.k8s.io/v1beta1/nodes", s.nodeMetrics)
	mux.HandleFunc("GET /apis/metrics.k8s.io/v1beta1/nodes/{name}", s.nodeMetrics)
	mux.HandleFunc("GET /api/v1/nodes", s.nodes)
	mux.HandleFunc("GET /api/v1/nodes/{name}", s.node)
	mux.HandleFunc("POST /podstead/v1/namespaces/{namespace}/pods/{name}/restart", s.restart)
	mux.HandleFunc("GET /podstead/v1/pods", s.details)
	mux.HandleFunc("GET /podstead/v1/namespaces/{namespace}/pods", s.details)
	mux.HandleFunc("GET /podstead/v1/status", s.status)
	mux.HandleFunc("POST /podstead/v1/reload", s.reload)
	mux.HandleFunc("GET /podstead/v1/images", s.images)
	s.workloadRoutes(mux)
	mux.HandleFunc("GET /version", s.version)
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("/", unknownPath)
	return mux
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

// ready answers 200 once every source was read (or its last good copy was
// loaded) and containerd answers, else 503 with one line for each that is
// missing.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	var missing []string
	snap := s.cfg.Snapshots.Latest()
	if snap == nil {
		missing = append(missing, "the first look at the host is not done")
		snap = &pod.Snapshot{Runtime: pod.RuntimeState{Up: true}}
	}
	for _, source := range snap.Sources {
		if !source.Synced {
			missing = append(missing, fmt.Sprintf("source %q was not read yet: %s", source.Name, source.Error))
		}
	}
	if !snap.Runtime.Up {
		missing = append(missing, fmt.Sprintf("containerd at %s does not answer: %s", snap.Runtime.Address, snap.Runtime.Error))
	}
	if len(missing) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, strings.Join(missing, "\n"))
		return
	}
	fmt.Fprintln(w, "ok")
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.cfg.Version)
}

// reload answers with what came of it, 200 also when the file can't be used.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Reload == nil {
		unknownPath(w, r)
		return
	}
	writeJSON(w, http.StatusOK, s.cfg.Reload())
}

func (s *Server) restart(w http.ResponseWriter, r *http.Request) {
	view, err := s.find(r)
	if err != nil {
		writeError(w, err)
		return
	}
	container := r.URL.Query().Get("container")
	if container != "" && pod.ContainerSpec(view.Pod, container) == nil {
		writeError(w, noContainer(view, container))
		return
	}
	if err := s.cfg.Control.Restart(r.Context(), view.Instance.Key, container); err != nil {
		writeError(w, fmt.Errorf("restart pod %s: %w", view.Instance.Key, err))
		return
	}
	writeJSON(w, http.StatusOK, success())
}
