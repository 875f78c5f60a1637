package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	corev1 "k8s.io/api/core/v1"

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

// manifest is a pod of one witness. One with a diary stamps when it starts;
// one without does nothing at all.
func (p *podstead) manifest(name string, diary bool) string {
	text := fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: app
    image: %s
`, name, witnessImage)
	if !diary {
		return text
	}
	return text + fmt.Sprintf(`    env:
    - {name: WITNESS_DIR, value: /w}
    - {name: WITNESS_ID, value: %s}
    volumeMounts:
    - {name: w, mountPath: /w}
  volumes:
  - {name: w, hostPath: {path: %s, type: Directory}}
`, witnessID(name), p.h.Witness)
}

// place writes manifests beside their places, and puts all of them there at
// the moment that it returns.
func (p *podstead) place(names []string, diary bool) record.Moment {
	p.t.Helper()
	for _, name := range names {
		if err := os.WriteFile(p.part(name), []byte(p.manifest(name, diary)), 0o644); err != nil {
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

// one starts a pod and crashes it, and returns how long either took.
func (p *podstead) one(name string) (start, crash time.Duration) {
	p.t.Helper()
	from := p.place([]string{name}, true)
	start = started(p.t, p.h, name, 1).Sub(from)
	p.h.WaitRunning("default/"+name, patience)
	from = kill(p.t, p.onlyPID())
	crash = started(p.t, p.h, name, 2).Sub(from)
	p.h.WaitRunning("default/"+name, patience)
	p.remove([]string{name})
	return start, crash
}

// fill starts many pods and returns when the last one runs.
func (p *podstead) fill(names []string) time.Duration {
	p.t.Helper()
	from := p.place(names, true)
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
	p.place([]string{name}, true)
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
