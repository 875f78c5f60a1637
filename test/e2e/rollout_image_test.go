package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"github.com/podstead/podstead/test/harness"
)

// tagged is a Deployment of shells whose image has a tag that moves. Pods of
// one that is broken crash.
func tagged(image, version string, broken bool) string {
	command := script("cat /mark")
	if broken {
		command = once("echo nothing works", "exit 1")
	}
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {rollout.podstead.dev/watch-seconds: "1"}
spec:
  replicas: 2
  strategy: {type: Recreate}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: %q}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: app
        image: %s
        imagePullPolicy: Always
        command: %s
`, version, image, command)
}

// runsMark waits until both pods run, those of a rollback if they are to be
// pinned, and looks into their images.
func runsMark(h *harness.Host, mark string, pinned bool) {
	h.Eventually(patience, func() error {
		pods := podsOf(h, "web")
		if len(pods) != 2 {
			return fmt.Errorf("there are %d pods", len(pods))
		}
		for _, p := range pods {
			if !isReady(p) || p.DeletionTimestamp != nil || strings.Contains(p.Spec.Containers[0].Image, "@sha256:") != pinned {
				return fmt.Errorf("%s of %s is ready: %v", p.Name, p.Spec.Containers[0].Image, isReady(p))
			}
			if out, err := h.CLI("exec", p.Name, "--", "/bin/busybox", "cat", "/mark"); err != nil || strings.TrimSpace(out) != mark {
				return fmt.Errorf("%s runs %q, %v, want %s", p.Name, out, err, mark)
			}
		}
		return nil
	})
}

// goodVersion waits until the version of the template that pods are made of is
// good.
func goodVersion(h *harness.Host, version string) {
	h.Eventually(patience, func() error {
		rec, err := recordOf(h, "web")
		if err != nil {
			return err
		}
		if target := rec.Revision(rec.Target); target == nil || !target.Good || !rec.Rollout.Settled || target.Template.Labels["version"] != version {
			return fmt.Errorf("target %+v, rollout %+v", target, rec.Rollout)
		}
		return nil
	})
}

// imageRemoved removes the image that a pod runs under all its names, as ctr
// does by hand.
func imageRemoved(t *testing.T, h *harness.Host, digest string) {
	t.Helper()
	c, err := containerd.New(h.Containerd)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := namespaces.WithNamespace(t.Context(), "podstead")
	list, err := c.ImageService().List(ctx, "target.digest=="+digest)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d images are %s: %v", len(list), digest, err)
	}
	for _, img := range list {
		if err := c.ImageService().Delete(ctx, img.Name, images.SynchronousDelete()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRollbackRunsTheImageThatRan: a tag moves between a good version and one
// that fails. The automatic rollback and undo run what ran, without a registry;
// an image that was removed by hand is waited for.
func TestRollbackRunsTheImageThatRan(t *testing.T) {
	t.Parallel()
	h := harness.New(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 10m}\n"})
	h.Start()
	c := terminal{t, h}
	var away atomic.Bool
	r, host := registry(t, h, func(w http.ResponseWriter, _ *http.Request) bool {
		if away.Load() {
			http.Error(w, "the uplink is gone", http.StatusServiceUnavailable)
		}
		return !away.Load()
	}, "")
	image := host + "/web:1"
	push(t, r, "web:1", "first")
	h.Write("web.yaml", tagged(image, "1", false))
	runsMark(h, "first", false)
	goodVersion(h, "1")
	rec, err := recordOf(h, "web")
	if err != nil {
		t.Fatal(err)
	}
	digest := rec.Revision(rec.Target).Ran["app"]
	if !strings.HasPrefix(digest, "sha256:") {
		t.Fatalf("it is known to have run %q", digest)
	}
	c.run(0, "rollout history deployment/web", "current, good", image+"@"+digest[:len("sha256:")+12])
	c.run(0, "rollout history deployment/web --revision=1", "Images It Ran", digest)

	push(t, r, "web:1", "second")
	h.Write("web.yaml", tagged(image, "2", true))
	eventually(h, "RolloutStarted", "revision 2")
	away.Store(true)
	eventually(h, "RolledBack", "revision 2")
	runsMark(h, "first", true)
	goodVersion(h, "1")
	for _, p := range podsOf(h, "web") {
		if id := p.Status.ContainerStatuses[0].ImageID; !strings.HasSuffix(id, digest) {
			t.Errorf("%s runs %s, want %s", p.Name, id, digest)
		}
	}
	c.run(0, "rollout history deployment/web", "wanted, failed (", "current, good", "@"+digest[:len("sha256:")+12])

	// What the manifest wants is what the tag means.
	away.Store(false)
	h.Write("web.yaml", tagged(image, "3", false))
	runsMark(h, "second", false)
	goodVersion(h, "3")
	away.Store(true)
	c.run(0, "rollout undo deployment/web", "rolled back to revision 3")
	runsMark(h, "first", true)
	goodVersion(h, "1")

	// It is removed by hand when nothing runs it.
	away.Store(false)
	h.Write("web.yaml", tagged(image, "4", true))
	eventually(h, "Started", "container app")
	h.Eventually(patience, func() error {
		if pods := podsOf(h, "web"); len(pods) != 2 || pods[0].Labels["version"] != "4" || pods[1].Labels["version"] != "4" {
			return fmt.Errorf("there are %d pods", len(pods))
		}
		return nil
	})
	away.Store(true)
	imageRemoved(t, h, digest)
	h.Eventually(patience, func() error {
		out, err := h.CLI("describe", "deployment", "web")
		if want := "image " + image + "@" + digest + " can't be had: "; err != nil || !strings.Contains(out, want) {
			return fmt.Errorf("it is not said that %s…: %v, %s", want, err, out)
		}
		return nil
	})
	away.Store(false)
	runsMark(h, "first", true)
}

// TestVersionThatDoesNotGetReadyIsRolledBack: not within its progress deadline,
// and not for as long as it is watched.
func TestVersionThatDoesNotGetReadyIsRolledBack(t *testing.T) {
	t.Parallel()
	h := newRollouts(t, "1", "2")
	web := rollout{name: "web", version: "1", replicas: 2, watch: 2, spec: "progressDeadlineSeconds: 5\n"}
	web.write(h)
	rolled(h, "web", "1", 2)
	goodAt(h, "web", "1")
	never := web
	never.version, never.args = "2", ", -http, ':8081'" // where nothing probes it
	never.write(h)
	eventually(h, "RolledBack", "did not become ready within 5s")
	rolled(h, "web", "1", 2)
	goodAt(h, "web", "1")
	sick := web
	sick.version, sick.watch = "2", 600
	sick.write(h)
	for _, p := range rolled(h, "web", "2", 2) {
		tell(t, placeOf(t, h, p), "0")
	}
	eventually(h, "RolledBack", "turned unhealthy")
	rolled(h, "web", "1", 2)
}

// TestPausedRolloutWaits: a paused manifest makes no new version until it goes
// on.
func TestPausedRolloutWaits(t *testing.T) {
	t.Parallel()
	h := newRollouts(t, "1", "2")
	web := rollout{name: "web", version: "1", replicas: 2, watch: 1}
	web.write(h)
	rolled(h, "web", "1", 2)
	goodAt(h, "web", "1")
	web.version, web.spec = "2", "paused: true\n"
	web.write(h)
	h.Eventually(patience, func() error {
		rec, err := recordOf(h, "web")
		if err == nil && rec.Generation < 2 {
			err = fmt.Errorf("the manifest was not read yet: generation %d", rec.Generation)
		}
		if err == nil && len(rec.Revisions) != 1 {
			t.Errorf("there are %d revisions while it is paused", len(rec.Revisions))
		}
		return err
	})
	rolled(h, "web", "1", 2)
	web.spec = ""
	web.write(h)
	rolled(h, "web", "2", 2)
}
