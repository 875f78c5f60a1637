package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

const (
	witnessImage = "example.org/witness:1"
	patience     = 2 * time.Minute
)

// podstead is the side that is measured.
type podstead struct {
	t *testing.T
	h *harness.Host
}

// witnessID is a witness's name in its diary.
func witnessID(pod string) string { return "default_" + pod + "_app" }

// shape is what a pod of the benchmark is like.
type shape struct {
	// diary: it stamps when it starts; otherwise it writes nothing.
	diary bool
	// containers is how many there are, at least one, and period how often
	// each probe of theirs is made, in seconds.
	containers, period int
	// liveness: there is a probe of liveness beside that of readiness.
	liveness bool
}

// port is where the first container of a pod listens; others do so above it.
const port = 8080

// manifest is a pod of witnesses with a network of its own, each of which
// answers probes.
func (p *podstead) manifest(name string, s shape) string {
	var text strings.Builder
	fmt.Fprintf(&text, `apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 5
`, name)
	if s.diary {
		fmt.Fprintf(&text, "  volumes: [{name: w, hostPath: {path: %s, type: Directory}}]\n", p.h.Witness)
	}
	text.WriteString("  containers:\n")
	for i := range max(1, s.containers) {
		probe := fmt.Sprintf("{httpGet: {path: /healthz, port: %d}, periodSeconds: %d}", port+i, s.period)
		fmt.Fprintf(&text, "  - name: %s\n    image: %s\n    readinessProbe: %s\n", containerName(i), witnessImage, probe)
		if s.liveness {
			fmt.Fprintf(&text, "    livenessProbe: %s\n", probe)
		}
		fmt.Fprintf(&text, "    env:\n    - {name: WITNESS_LISTEN, value: ':%d'}\n", port+i)
		if s.diary {
			fmt.Fprintf(&text, "    - {name: WITNESS_DIR, value: /w}\n    - {name: WITNESS_ID, value: %s}\n    volumeMounts: [{name: w, mountPath: /w}]\n", witnessID(name))
		}
	}
	return text.String()
}

func containerName(i int) string {
	if i == 0 {
		return "app"
	}
	return fmt.Sprintf("app-%d", i)
}

// place writes manifests beside their places, and puts all of them there at
// the moment that it returns.
func (p *podstead) place(names []string, s shape) record.Moment {
	p.t.Helper()
	for _, name := range names {
		if err := os.WriteFile(p.part(name), []byte(p.manifest(name, s)), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	at := record.Now()
	for _, name := range names {
		if err := os.Rename(p.part(name), p.file(name)); err != nil {
			p.t.Fatal(err)
		}
	}
	return at
}

func (p *podstead) part(name string) string { return filepath.Join(p.h.Manifests, "."+name+".part") }
func (p *podstead) file(name string) string { return filepath.Join(p.h.Manifests, name+".yaml") }

// remove takes manifests away and waits until nothing is left of their pods.
func (p *podstead) remove(names []string) {
	p.t.Helper()
	for _, name := range names {
		if err := os.Remove(p.file(name)); err != nil {
			p.t.Fatal(err)
		}
	}
	p.wait(0)
}

// wait waits for so many running pods, and does not ask often: that would
// count as podstead's.
func (p *podstead) wait(pods int) {
	p.t.Helper()
	p.h.Eventually(patience, func() error {
		err := p.count(pods)
		if err != nil {
			time.Sleep(250 * time.Millisecond)
		}
		return err
	})
}

// life is how long it took until a pod ran and was ready, and until both were
// so again after a crash.
type life struct{ start, ready, again, readyAgain time.Duration }

// one starts a pod and crashes it.
func (p *podstead) one(name string) life {
	p.t.Helper()
	var l life
	from := p.place([]string{name}, shape{diary: true, period: 1})
	l.ready = p.ready(name, 0).Sub(from)
	l.start = started(p.t, p.h, name, 1).Sub(from)
	from = kill(p.t, p.onlyPID())
	l.readyAgain = p.ready(name, 1).Sub(from)
	l.again = started(p.t, p.h, name, 2).Sub(from)
	p.remove([]string{name})
	return l
}

// ready waits until podstead tells that a pod is ready after so many restarts,
// and returns when that was heard.
func (p *podstead) ready(name string, restarts int32) record.Moment {
	p.t.Helper()
	client := api.NewClient(p.h.Socket)
	defer client.Close()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	var at record.Moment
	heard := errors.New("it is ready")
	err := client.WatchPods(ctx, api.ListOptions{FieldSelector: "metadata.name=" + name}, func(_ watch.EventType, o *corev1.Pod) error {
		for _, c := range o.Status.ContainerStatuses {
			if c.Ready && c.RestartCount == restarts {
				at = record.Now()
				return heard
			}
		}
		return nil
	})
	if !errors.Is(err, heard) {
		p.t.Fatalf("%s is not ready after %d restarts within %s: %v", name, restarts, patience, err)
	}
	return at
}

// fill starts many pods and returns when the last one runs.
func (p *podstead) fill(names []string) time.Duration {
	p.t.Helper()
	from := p.place(names, shape{diary: true, period: 10})
	took := last(p.t, p.h, names).Sub(from)
	p.remove(names)
	return took
}

// count tells whether just so many pods are listed, all running.
func (p *podstead) count(want int) error {
	client := api.NewClient(p.h.Socket)
	defer client.Close()
	list, err := client.Pods(p.t.Context(), api.ListOptions{})
	if err != nil {
		return err
	}
	running := 0
	for i := range list.Items {
		if list.Items[i].Status.Phase == corev1.PodRunning {
			running++
		}
	}
	if len(list.Items) != want || running != want {
		return fmt.Errorf("%d pods, %d of them running, want %d", len(list.Items), running, want)
	}
	return nil
}

// client is one of containerd in podstead's namespace.
func (p *podstead) client() *containerd.Client {
	p.t.Helper()
	client, err := containerd.New(p.h.Containerd, containerd.WithDefaultNamespace("podstead"))
	if err != nil {
		p.t.Fatal(err)
	}
	return client
}

// only is the only container there is.
func (p *podstead) only(client *containerd.Client) containerd.Container {
	p.t.Helper()
	all, err := client.Containers(p.t.Context())
	if err != nil || len(all) != 1 {
		p.t.Fatalf("%d containers, %v, want one", len(all), err)
	}
	return all[0]
}

func (p *podstead) onlyPID() int {
	p.t.Helper()
	client := p.client()
	defer client.Close()
	task, err := p.only(client).Task(p.t.Context(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return int(task.Pid())
}

// template is what podstead made of one pod.
type template struct {
	name      string
	pod       corev1.Pod
	container containers.Container
}

// template runs a pod to see what podstead makes of it.
func (p *podstead) template() template {
	p.t.Helper()
	const name = "template-of-bare"
	p.place([]string{name}, shape{diary: true, period: 1})
	made := template{name: name, pod: p.h.WaitRunning("default/"+name, patience)}
	client := p.client()
	defer client.Close()
	info, err := p.only(client).Info(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	made.container = info
	p.remove([]string{name})
	return made
}

// kill ends a process as a crash does and returns when.
func kill(t *testing.T, pid int) record.Moment {
	t.Helper()
	// What a start leaves behind is over by then, on either side.
	time.Sleep(200 * time.Millisecond)
	at := record.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return at
}

// started waits for the start of a pod's nth run and returns when it was, by
// the clock of the witness.
func started(t *testing.T, h *harness.Host, name string, run int) record.Moment {
	t.Helper()
	var at record.Moment
	h.Eventually(patience, func() error {
		all, err := record.Load[record.Witness](record.Path(h.Witness, witnessID(name)))
		if err != nil {
			return err
		}
		var starts []record.Moment
		for _, e := range all {
			if e.Event == record.Start {
				starts = append(starts, e.At)
			}
		}
		if len(starts) < run {
			return fmt.Errorf("%s: %d runs, want %d", name, len(starts), run)
		}
		at = starts[run-1]
		return nil
	})
	return at
}

// answers waits until a pod answers its probe and returns when it did.
func answers(t *testing.T, ip string) record.Moment {
	t.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	url := fmt.Sprintf("http://%s/healthz", net.JoinHostPort(ip, strconv.Itoa(port)))
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r, err := client.Get(url)
		if err != nil {
			continue
		}
		if err := r.Body.Close(); err == nil && r.StatusCode == http.StatusOK {
			return record.Now()
		}
	}
	t.Fatalf("%s does not answer within %s", url, patience)
	return 0
}

// last waits until all of them have started and returns when the last one did.
func last(t *testing.T, h *harness.Host, names []string) record.Moment {
	t.Helper()
	var at record.Moment
	for _, name := range names {
		at = max(at, started(t, h, name, 1))
	}
	return at
}

// series names pods that no other series has.
func series(prefix string, round, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d-%03d", prefix, round, i)
	}
	return names
}
