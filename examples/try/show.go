package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
)

// redraw is how often the table is looked at anew.
const redraw = 250 * time.Millisecond

// show keeps the table of pods on the screen until ctx ends. Where the output
// is no terminal, the table is printed whenever it changed.
func (t try) show(ctx context.Context, ended <-chan struct{}) error {
	client := api.NewClient(t.socket)
	defer client.Close()
	screen := screen{terminal: term.IsTerminal(int(os.Stdout.Fd()))}
	began := time.Now()
	for {
		table := t.table(ctx)
		ready := allReady(ctx, client)
		if ready && !screen.hinted {
			screen.hinted = true
			screen.hint = t.hints(time.Since(began))
		}
		screen.draw(table)
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			return errors.New("podstead ended by itself")
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

func allReady(ctx context.Context, client *api.Client) bool {
	pods, err := client.Pods(ctx, api.ListOptions{})
	if err != nil || len(pods.Items) == 0 {
		return false
	}
	for _, p := range pods.Items {
		ready := false
		for _, c := range p.Status.Conditions {
			ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}
		if !ready {
			return false
		}
	}
	return true
}

func (t try) hints(took time.Duration) string {
	podstead := fmt.Sprintf("%s --socket %s", relative(filepath.Join(t.bin, "podstead")), t.socket)
	return fmt.Sprintf(`
All pods are ready, %s after podstead was started. Try in another terminal:

  curl http://127.0.0.1:8080                       the web pod answers, from a network of its own
  curl -X POST http://127.0.0.1:8080/busy          its readiness fails for 15 seconds: watch the table
  curl -X POST http://127.0.0.1:8080/break         its liveness fails: it is restarted
  %[2]s describe pod web
  %[2]s top pods
  %[2]s port-forward web 9000:http     then http://127.0.0.1:9000
  sed -i 's/demo:1/demo:2/' %[3]s/web.yaml
                                                   a new image: only that container is replaced
  sed -i 's/memory: 64Mi/memory: 96Mi/' %[3]s/web.yaml
                                                   a new limit: nothing restarts
  %[2]s logs -f queue
  %[2]s restart pod queue
  %[2]s events -w
  kill -9 $(pgrep -f 'demo tick')                  it is back at once, and counted
  echo oops >> %[3]s/web.yaml
                                                   a broken manifest: the pod goes on
%[4]s
Ctrl-C here stops the pods and leaves nothing behind, no manifest and no image that you put there either.
`, took.Round(100*time.Millisecond), podstead, t.manifests, t.graph())
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

func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	short, err := filepath.Rel(wd, path)
	if err != nil {
		return path
	}
	return short
}

// ages are the parts of the table that change all the time.
var ages = regexp.MustCompile(`(?m)( +\([^)]* ago\))? +\S+$`)

// screen draws over what it drew before. Where it is no terminal it prints
// the table again when more than the ages changed, and the hint once.
type screen struct {
	terminal bool
	hinted   bool
	hint     string
	last     string
	lines    int
}

func (s *screen) draw(table string) {
	what := table + s.hint
	if !s.terminal {
		what = ages.ReplaceAllString(what, "")
	}
	if what == s.last {
		return
	}
	s.last = what
	if s.terminal && s.lines > 0 {
		fmt.Printf("\x1b[%dA\x1b[J", s.lines)
	}
	fmt.Print(table + s.hint)
	s.lines = strings.Count(table+s.hint, "\n")
	if !s.terminal {
		s.hint, s.last = "", ages.ReplaceAllString(table, "")
	}
}
