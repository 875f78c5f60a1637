package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/podstead/podstead/api"
)

// redraw is how often the table is looked at anew.
const redraw = 250 * time.Millisecond

// patience is how long the hints wait for all pods to be ready.
const patience = 20 * time.Second

// show keeps the table of pods on the screen until ctx ends, with the news
// and, once, the hints above it.
func (t try) show(ctx context.Context, client *api.Client, news <-chan string) {
	screen := newScreen(os.Stdout)
	began := time.Now()
	hinted, welcomed := false, false
	for {
		table := t.table(ctx)
		held, up := notReady(ctx, client)
		if ctx.Err() != nil {
			return
		}
		took := time.Since(began)
		if up && len(held) == 0 && !welcomed {
			welcomed = true
			screen.say(fmt.Sprintf("\nAll pods are ready, %s after podstead was started.\n", took.Round(100*time.Millisecond)))
		}
		if !hinted && (welcomed || took > patience) {
			hinted = true
			screen.say(heldText(held, took, welcomed) + t.hints())
		}
		screen.draw(table)
		select {
		case <-ctx.Done():
			return
		case text := <-news:
			screen.say(text)
		case <-time.After(redraw):
		}
	}
}

// table is what a person would see.
func (t try) table(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, filepath.Join(t.bin, "podstead"), "--socket", t.socket, "get", "pods", "-A").Output()
	if err != nil {
		return "podstead is starting\n"
	}
	return string(out)
}

// hints fit a terminal of 80 columns.
func (t try) hints() string {
	return fmt.Sprintf(`Try in another terminal:

  export PATH=%s:$PATH
  export PODSTEAD_SOCKET=%s
  cd %s

  curl http://127.0.0.1:8080                 the web pod answers
  curl -X POST http://127.0.0.1:8080/busy    not ready for 15s: watch the table
  curl -X POST http://127.0.0.1:8080/break   not live: it is restarted
  podstead describe pod web
  podstead top pods
  podstead port-forward web 9000:http        then http://127.0.0.1:9000
  sed -i 's/demo:1/demo:2/' web.yaml         only that container is replaced
  sed -i 's/memory: 64Mi/memory: 96Mi/' web.yaml
                                             a new limit: nothing restarts
  podstead logs -f queue
  podstead restart pod queue
  podstead events -w
  kill -9 $(pgrep -xf '/demo tick')          it is back at once, and counted
  kill -9 $(cat %s)
                                             podstead: its containers go on
  echo oops >> web.yaml                      broken: the pod goes on
%s
Ctrl-C here stops the pods and leaves nothing behind, no manifest and no image
that you put there either.

`, t.bin, t.socket, t.manifests, pidFile, t.graph())
}

// graph tells where Prometheus shows the CPU of each pod, if it runs. Debian's
// has the classic page alone.
func (t try) graph() string {
	if _, err := os.Stat(filepath.Join(t.manifests, "prometheus.yaml")); err != nil {
		return ""
	}
	query := url.Values{"g0.expr": {cpuPerPod}, "g0.tab": {"0"}, "g0.range_input": {"5m"}}
	return fmt.Sprintf(`
Prometheus sees it all; the CPU of each pod as a graph:

  http://127.0.0.1:9090/classic/graph?%s
`, query.Encode())
}

// cpuPerPod is in cores.
const cpuPerPod = `sum by (pod) (rate(container_cpu_usage_seconds_total{container!=""}[30s]))`
