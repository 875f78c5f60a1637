package metrics

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/podstead/podstead/pod"
)

// aliveTime bounds the question to the agent.
const aliveTime = time.Second

// check is one thing that must be well; it says what is not, or "".
type check struct {
	name string
	is   func(ctx context.Context) string
}

func (s *Server) live() []check {
	return []check{{"agent", s.agentAlive}}
}

func (s *Server) readiness() []check {
	return []check{
		{"agent", s.agentAlive},
		{"runtime", func(context.Context) string { return runtimeReady(s.cfg.Snapshots.Latest()) }},
		{"sources", func(context.Context) string { return sourcesReady(s.cfg.Snapshots.Latest()) }},
	}
}

func (s *Server) agentAlive(ctx context.Context) string {
	if s.cfg.Alive == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, aliveTime)
	defer cancel()
	if err := s.cfg.Alive(ctx); err != nil {
		return err.Error()
	}
	return ""
}

func runtimeReady(snap *pod.Snapshot) string {
	if snap.Runtime.Up {
		return ""
	}
	return "containerd does not answer"
}

// sourcesReady names the sources of which nothing is known yet. One that can't
// be read now but whose last good copy is known is no reason to wait.
func sourcesReady(snap *pod.Snapshot) string {
	var waiting []string
	for i := range snap.Sources {
		if !snap.Sources[i].Synced {
			waiting = append(waiting, snap.Sources[i].Name)
		}
	}
	if len(waiting) == 0 {
		return ""
	}
	return "not read yet: " + strings.Join(waiting, ", ")
}

// health answers 200 when every check is well and 503 otherwise. What is wrong
// is always told; ?verbose tells of every check.
func health(name string, checks []check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var text strings.Builder
		failed := false
		_, verbose := r.URL.Query()["verbose"]
		for _, c := range checks {
			why := c.is(r.Context())
			switch {
			case why != "":
				failed = true
				fmt.Fprintf(&text, "[-]%s failed: %s\n", c.name, why)
			case verbose:
				fmt.Fprintf(&text, "[+]%s ok\n", c.name)
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if failed {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(&text, "%s check failed\n", name)
		} else if verbose {
			fmt.Fprintf(&text, "%s check passed\n", name)
		} else {
			text.WriteString("ok\n")
		}
		_, _ = w.Write([]byte(text.String())) // whoever asked may have gone
	})
}
