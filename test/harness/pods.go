package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/images"
	"github.com/podstead/podstead/test/record"
)

// Write puts a manifest into place by renaming, as careful people do.
func (h *Host) Write(name, yaml string) {
	h.t.Helper()
	part := filepath.Join(h.Manifests, "."+name+".part")
	if err := os.WriteFile(part, []byte(yaml), 0o644); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(part, filepath.Join(h.Manifests, name)); err != nil {
		h.t.Fatal(err)
	}
}

// WriteSlowly writes a manifest in place, in two halves with a pause between
// them, as careless people do.
func (h *Host) WriteSlowly(name, yaml string, pause time.Duration) {
	h.t.Helper()
	f, err := os.Create(filepath.Join(h.Manifests, name))
	if err != nil {
		h.t.Fatal(err)
	}
	half := len(yaml) / 2
	_, first := f.WriteString(yaml[:half])
	time.Sleep(pause)
	_, second := f.WriteString(yaml[half:])
	if err := errors.Join(first, second, f.Close()); err != nil {
		h.t.Fatal(err)
	}
}

// Remove removes a manifest.
func (h *Host) Remove(name string) {
	h.t.Helper()
	if err := os.Remove(filepath.Join(h.Manifests, name)); err != nil {
		h.t.Fatal(err)
	}
}

// Want writes down, for the checker, what a manifest wants from now on; call
// it right before the change that should be quick and right after a change
// that stops something.
func (h *Host) Want(m record.Manifest) {
	h.t.Helper()
	m.At = record.Now()
	if err := record.Append(h.manifestLog(), m); err != nil {
		h.t.Fatal(err)
	}
}

// AddWitnessImage puts the image of witnesses, by the given name, into the
// folder of archives.
func (h *Host) AddWitnessImage(ref string) {
	h.t.Helper()
	img, err := images.FromGo(h.t.Context(), images.WitnessPackage, images.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.AddImage(ref, img)
}

// AddImage puts an image into the folder of archives.
func (h *Host) AddImage(ref string, img v1.Image) {
	h.t.Helper()
	name := strings.NewReplacer("/", "_", ":", "_").Replace(ref) + ".tar"
	if err := images.WriteDocker(filepath.Join(h.Images, name), map[string]v1.Image{ref: img}); err != nil {
		h.t.Fatal(err)
	}
}

// get asks podstead's API; into is nil or what the answer is decoded to.
func (h *Host) get(path string, into any) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", h.Socket)
		},
	}}
	resp, err := client.Get("http://podstead" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", path, resp.Status, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// Pods returns every pod that podstead shows.
func (h *Host) Pods() []corev1.Pod {
	h.t.Helper()
	var list corev1.PodList
	if err := h.get("/api/v1/pods", &list); err != nil {
		h.t.Fatalf("ask for pods: %v", err)
	}
	return list.Items
}

// Pod returns the pod "namespace/name".
func (h *Host) Pod(key string) (corev1.Pod, error) {
	namespace, name, _ := strings.Cut(key, "/")
	var p corev1.Pod
	err := h.get(fmt.Sprintf("/api/v1/namespaces/%s/pods/%s", namespace, name), &p)
	return p, err
}

// Node returns the server as podstead shows it.
func (h *Host) Node() (corev1.Node, error) {
	var list corev1.NodeList
	err := h.get("/api/v1/nodes", &list)
	if err == nil && len(list.Items) != 1 {
		err = fmt.Errorf("%d nodes are shown, want 1", len(list.Items))
	}
	if err != nil {
		return corev1.Node{}, err
	}
	return list.Items[0], nil
}

// WaitRunning waits until every container of a pod runs and is ready, and
// returns the pod.
func (h *Host) WaitRunning(key string, within time.Duration) corev1.Pod {
	h.t.Helper()
	return h.WaitPod(key, within, func(p corev1.Pod) error {
		if p.Status.Phase != corev1.PodRunning || len(p.Status.ContainerStatuses) != len(p.Spec.Containers) {
			return fmt.Errorf("phase %s", p.Status.Phase)
		}
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Running == nil || !c.Ready {
				return fmt.Errorf("container %s: %+v, ready %v", c.Name, c.State, c.Ready)
			}
		}
		return nil
	})
}

// WaitPod waits until a pod is as wanted and returns it.
func (h *Host) WaitPod(key string, within time.Duration, condition func(corev1.Pod) error) corev1.Pod {
	h.t.Helper()
	var p corev1.Pod
	h.Eventually(within, func() (err error) {
		if p, err = h.Pod(key); err != nil {
			return err
		}
		if err := condition(p); err != nil {
			return fmt.Errorf("pod %s: %w", key, err)
		}
		return nil
	})
	return p
}

// WaitGone waits until podstead shows a pod no more.
func (h *Host) WaitGone(key string, within time.Duration) {
	h.t.Helper()
	h.Eventually(within, func() error {
		for _, p := range h.Pods() {
			if p.Namespace+"/"+p.Name == key {
				return fmt.Errorf("pod %s is still there: %s", key, p.Status.Phase)
			}
		}
		return nil
	})
}

// CLI runs the podstead command against this host and returns what it printed
// to stdout. The error holds what it printed to stderr.
func (h *Host) CLI(args ...string) (string, error) {
	cmd := h.Command(args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("podstead %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), err
}

// Command is the podstead command against this host, not started yet. It is
// killed when the test ends.
func (h *Host) Command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(h.t.Context(), filepath.Join(h.Bin, "podstead"), args...)
	cmd.Env = append(os.Environ(), "PODSTEAD_SOCKET="+h.Socket)
	return cmd
}

// Events returns those of the pod "namespace/name".
func (h *Host) Events(key string) []corev1.Event {
	h.t.Helper()
	namespace, name, _ := strings.Cut(key, "/")
	var list corev1.EventList
	if err := h.get("/api/v1/namespaces/"+namespace+"/events", &list); err != nil {
		h.t.Fatalf("ask for events: %v", err)
	}
	return slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return e.InvolvedObject.Name != name })
}
