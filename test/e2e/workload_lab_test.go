package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

// rollout is a workload of responders that tests write again and again.
type rollout struct {
	kind, name, version string
	replicas            int
	spec                string // further lines of the spec
	template            string // further lines of the pod's spec
	args                string // further arguments
	watch               int    // seconds
	grace               int    // seconds, 2 if 0
}

// yaml is the manifest.
func (r rollout) yaml() string {
	kind, replicas := r.kind, ""
	if kind == "" {
		kind = "Deployment"
	}
	if r.replicas > 0 {
		replicas = fmt.Sprintf("  replicas: %d\n", r.replicas)
	}
	return fmt.Sprintf(`apiVersion: apps/v1
kind: %[1]s
metadata:
  name: %[2]s
  annotations: {rollout.podstead.dev/watch-seconds: "%[3]d"}
spec:
%[4]s  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      terminationGracePeriodSeconds: %[8]d
%[5]s      containers:
      - name: app
        image: %[6]s
        args: [-name, %[2]s, -http, ':8080'%[7]s]
        ports: [{name: web, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: web}, periodSeconds: 1}
`, kind, r.name, r.watch, replicas+block(2, r.spec), block(6, r.template), versionOf(r.version), r.args, cmp.Or(r.grace, 2))
}

func versionOf(version string) string { return "example.org/responder:" + version }

// write puts the manifest into place.
func (r rollout) write(h *harness.Host) { h.Write(r.name+".yaml", r.yaml()) }

// addVersions puts images of responders into the folder of archives.
func addVersions(t *testing.T, h *harness.Host, versions ...string) {
	t.Helper()
	for _, v := range versions {
		img, err := images.FromGo(t.Context(), responderPackage, images.Options{Config: v1.Config{Env: []string{"VERSION=" + v}}})
		if err != nil {
			t.Fatal(err)
		}
		h.AddImage(versionOf(v), img)
	}
}

// imageOf is the image of a pod by its tag; one that is gone back to has its
// digest as well.
func imageOf(p corev1.Pod) string {
	tag, _, _ := strings.Cut(p.Spec.Containers[0].Image, "@")
	return tag
}

// podsOf are the pods of a workload.
func podsOf(h *harness.Host, name string) []corev1.Pod {
	var list []corev1.Pod
	for _, p := range h.Pods() {
		if p.Labels["app"] == name {
			list = append(list, p)
		}
	}
	return list
}

func isReady(p corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// rolled waits until there are just so many pods of a version, all ready, and
// returns them. Each look on the way is handed to watch.
func rolled(h *harness.Host, name, version string, n int, watch ...func([]corev1.Pod)) []corev1.Pod {
	var pods []corev1.Pod
	h.Eventually(patience, func() error {
		pods = podsOf(h, name)
		for _, w := range watch {
			w(pods)
		}
		text, there := "", 0
		for _, p := range pods {
			image := imageOf(p)
			text += fmt.Sprintf(" %s %s ready %v,", p.Name, image, isReady(p))
			if image == versionOf(version) && isReady(p) {
				there++
			}
		}
		if there != n || len(pods) != n {
			return fmt.Errorf("want %d ready pods of %s, there are%s", n, version, text)
		}
		return nil
	})
	return pods
}

// extremes notes the least number of ready pods and the largest of all.
type extremes struct{ least, most int }

func newExtremes() *extremes { return &extremes{least: 1 << 30} }

func (b *extremes) look(pods []corev1.Pod) {
	ready, all := 0, 0
	for _, p := range pods {
		if p.DeletionTimestamp == nil {
			all++
		}
		if isReady(p) && p.DeletionTimestamp == nil {
			ready++
		}
	}
	b.least, b.most = min(b.least, ready), max(b.most, all)
}

// recordOf is what podstead stored of a Deployment.
func recordOf(h *harness.Host, name string) (*workload.Record, error) {
	text, err := os.ReadFile(filepath.Join(h.Dir, "state/workloads/Deployment_default_"+name+".json"))
	if err != nil {
		return nil, err
	}
	var file struct{ Data *workload.Record }
	return file.Data, json.Unmarshal(text, &file)
}

// goodAt waits until a version of a Deployment is good.
func goodAt(h *harness.Host, name, version string) {
	h.Eventually(patience, func() error {
		rec, err := recordOf(h, name)
		if err != nil {
			return err
		}
		target := rec.Revision(rec.Target)
		if target == nil || !target.Good || !rec.Rollout.Settled || target.Template.Spec.Containers[0].Image != versionOf(version) {
			return fmt.Errorf("target %+v, rollout %+v", target, rec.Rollout)
		}
		return nil
	})
}

// eventually waits for an event.
func eventually(h *harness.Host, reason, words string) {
	h.Eventually(patience, func() error {
		out, err := h.CLI("events")
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, reason) && strings.Contains(line, words) {
				return nil
			}
		}
		return fmt.Errorf("no event %s with %q in:\n%s", reason, words, out)
	})
}

func newRollouts(t *testing.T, versions ...string) *harness.Host {
	t.Helper()
	h := harness.New(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 10m}\nnode: {labels: {disk: ssd}}\n"})
	addVersions(t, h, versions...)
	h.Start()
	h.Eventually(patience, func() error {
		out, err := h.CLI("images")
		for _, v := range versions {
			if err == nil && !strings.Contains(out, "example.org/responder:"+v) {
				err = fmt.Errorf("version %s is not imported yet:\n%s", v, out)
			}
		}
		return err
	})
	return h
}

// removed removes the manifest and waits until nothing is left.
func (r rollout) removed(h *harness.Host) {
	h.Remove(r.name + ".yaml")
	h.Eventually(patience, func() error {
		if pods := podsOf(h, r.name); len(pods) > 0 {
			return fmt.Errorf("%d pods are left", len(pods))
		}
		if left, _ := filepath.Glob(filepath.Join(h.Dir, "state/workloads/*_"+r.name+".json")); len(left) > 0 {
			return fmt.Errorf("%v is left", left)
		}
		return nil
	})
}
