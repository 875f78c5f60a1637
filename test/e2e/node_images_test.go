package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

const (
	collectMetrics = "127.0.0.1:19256"
	minimumAge     = 3 * time.Second
)

// pushBig puts an image into a registry that can't be compressed, of so many
// MiB; zeros are as many that can.
func pushBig(t *testing.T, r *images.Registry, tag string, mebibytes, zeros int) {
	t.Helper()
	content := make([]byte, mebibytes<<20, (mebibytes+zeros)<<20)
	random := rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32s", tag))))
	_, _ = random.Read(content) // it never fails
	img, err := images.FromDebian(t.Context(), images.Options{Files: map[string]images.File{
		"/big": {Mode: 0o644, Content: content[:cap(content)]}, "/mark": {Mode: 0o644, Content: []byte(tag + "\n")},
	}}, "busybox-static")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Push(tag, img); err != nil {
		t.Fatal(err)
	}
}

// storedImages are what podstead images shows, by the first column.
func storedImages(h *harness.Host) (map[string]string, error) {
	out, err := h.CLI("images", "--no-headers")
	shown := map[string]string{}
	for line := range strings.Lines(out) {
		name, rest, _ := strings.Cut(line, " ")
		shown[name] = strings.Join(strings.Fields(rest), " ")
	}
	return shown, err
}

// usedOnce runs a pod of an image and takes it away again.
func usedOnce(h *harness.Host, name, ref string) {
	runs(h, name, pulled(name, ref, "IfNotPresent"))
	h.Remove(name + ".yaml")
	h.WaitGone("default/"+name, time.Minute)
}

// TestImagesAreCollected fills the disk of images: what was used the longest
// ago goes, until there is room; what runs, is pinned or imported, and the
// version before stay.
func TestImagesAreCollected(t *testing.T) {
	t.Parallel()
	r := images.NewRegistry()
	t.Cleanup(r.Close)
	h := harness.New(t, harness.Options{Config: "metrics: {address: \"" + collectMetrics + "\"}\n" +
		"imageGC: {highThresholdPercent: 70, lowThresholdPercent: 62, minimumAge: " + minimumAge.String() + ", pinned: [\"" + r.Host() + "/pinned\"]}\n"})
	disk := h.Mount("state/containerd", 320, 0)
	if err := r.WriteHosts(h.Hosts); err != nil {
		t.Fatal(err)
	}
	addShell(t, h)
	ref := func(tag string) string { return r.Host() + "/" + tag }
	for _, tag := range []string{"shop:1", "shop:2", "pinned:1", "old:1", "old:2", "old:3"} {
		pushBig(t, r, tag, 8, 0)
	}
	h.Start()

	// shop:1 runs for a while, so it is a good one; shop:2 follows it, and no
	// record of shop:1 is left.
	runs(h, "shop", pulled("shop", ref("shop:1"), "IfNotPresent"))
	h.Eventually(time.Minute, func() error {
		shown, err := storedImages(h)
		if err == nil && !strings.Contains(shown[ref("shop:1")], "now used by pod default/shop") {
			err = fmt.Errorf("images: %v, want shop:1 in use", shown)
		}
		return err
	})
	usedOnce(h, "first", ref("old:1"))
	usedOnce(h, "second", ref("old:2"))
	usedOnce(h, "held", ref("pinned:1"))
	ranWell(h, "shop")
	for n := range 3 {
		h.Write("shop.yaml", strings.Replace(pulled("shop", ref("shop:2"), "IfNotPresent"), "containers:", fmt.Sprintf("hostname: n%d\n  containers:", n), 1))
		h.WaitPod("default/shop", time.Minute, func(p corev1.Pod) error {
			if p.Spec.Hostname != fmt.Sprintf("n%d", n) || p.Status.Phase != corev1.PodRunning {
				return fmt.Errorf("%s: hostname %q", p.Status.Phase, p.Spec.Hostname)
			}
			return nil
		})
	}
	usedOnce(h, "third", ref("old:3"))
	h.Eventually(time.Minute, func() error {
		return kept(h, map[string]string{
			ref("shop:1"): "the last good one of pod default/shop", ref("shop:2"): "now used by pod default/shop",
			ref("pinned:1"): "pinned by " + r.Host() + "/pinned", shell: "imported from an archive",
			ref("old:1"): "ago no", ref("old:2"): "ago no", ref("old:3"): "ago no",
		})
	})

	// Each may go now: only the order decides.
	time.Sleep(minimumAge + time.Second)
	// From 29 to 38 percent some 27 MiB are missing, and an image has some 19.
	disk.Leave(disk.Size() * 29 / 100)
	h.Eventually(time.Minute, func() error {
		return kept(h, map[string]string{
			ref("old:1"): "", ref("old:2"): "", ref("old:3"): "ago no",
			ref("shop:1"): "last good", ref("shop:2"): "now", ref("pinned:1"): "pinned", shell: "imported",
		})
	})
	told(h, []string{"ImageRemoved", "removed image " + ref("old:1"), "removed image " + ref("old:2")}, "events")

	// More is wanted, and nothing can go: the node says so, and pods go on.
	disk.Leave(10 << 20)
	h.Eventually(time.Minute, func() error { return underPressure(h, "images") })
	told(h, []string{"warning: the file system of images (", "no image can be removed: 4 are in use, pinned or the last good ones of pods"}, "status")
	told(h, []string{"DiskPressure", "HasDiskPressure"}, "describe", "node")
	metric := func(name, page string, want float64, labels ...string) {
		t.Helper()
		h.Eventually(time.Minute, func() error {
			families, err := scrape(collectMetrics, page)
			if err != nil {
				return err
			}
			if got, ok := valueOf(families[name], labels...); !ok || got != want {
				return fmt.Errorf("%s%v is %v, %v, want %v", name, labels, got, ok, want)
			}
			return nil
		})
	}
	metric("podstead_image_gc_removed_total", "/metrics", 3, "reason=space")
	metric("podstead_filesystem_pressure", "/metrics", 1, "use=images")
	metric("kube_node_status_condition", "/metrics/state", 1, "condition=DiskPressure", "status=true")
	disk.Empty()
	h.Eventually(recovers, func() error {
		if underPressure(h, "images") == nil {
			return fmt.Errorf("there is room, and the node is under pressure still")
		}
		return nil
	})
	metric("kube_node_status_condition", "/metrics/state", 1, "condition=DiskPressure", "status=false")
	says(t, h, "shop", "shop:2")

	// The version before is there without the registry.
	r.SetFault(images.Fault{Status: 503})
	h.Write("shop.yaml", pulled("shop", ref("shop:1"), "IfNotPresent"))
	says(t, h, "shop", "shop:1")
}

// ranWell waits until podstead has noted that the images of a pod run well.
func ranWell(h *harness.Host, name string) {
	h.Eventually(time.Minute, func() error {
		text, err := os.ReadFile(filepath.Join(h.Dir, "state", "good-images"))
		if err == nil && !strings.Contains(string(text), `"default/`+name+`"`) {
			err = fmt.Errorf("good images: %s, want those of %s", text, name)
		}
		return err
	})
}

// kept compares what is said of images; "" is for one that is gone.
func kept(h *harness.Host, want map[string]string) error {
	shown, err := storedImages(h)
	if err != nil {
		return err
	}
	var wrong []string
	for name, words := range want {
		if got := shown[name]; (got == "") != (words == "") || !strings.Contains(got, words) {
			wrong = append(wrong, fmt.Sprintf("%s: %q, want %q", name, got, words))
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		return fmt.Errorf("images: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// TestAnImageThatDoesNotFit: what is not needed makes room for it; what can't
// fit is not even begun.
func TestAnImageThatDoesNotFit(t *testing.T) {
	t.Parallel()
	r := images.NewRegistry()
	t.Cleanup(r.Close)
	h := harness.New(t, harness.Options{Config: "imageGC: {highThresholdPercent: 99, minimumAge: 1s}\n"})
	disk := h.Mount("state/containerd", 192, 0)
	if err := r.WriteHosts(h.Hosts); err != nil {
		t.Fatal(err)
	}
	addShell(t, h)
	ref := func(tag string) string { return r.Host() + "/" + tag }
	pushBig(t, r, "old:1", 16, 0)
	pushBig(t, r, "tight:1", 40, 0)
	pushBig(t, r, "huge:1", 120, 0)
	h.Start()
	usedOnce(h, "old", ref("old:1"))
	h.Eventually(time.Minute, func() error { return kept(h, map[string]string{ref("old:1"): "ago no"}) })

	// 86 MiB fit, once the 35 of the old one are free.
	disk.Leave(64 << 20)
	h.Write("tight.yaml", pulled("tight", ref("tight:1"), "IfNotPresent"))
	waiting(h, "tight", "ErrImagePull", "it needs about 1")
	h.WaitRunning("default/tight", time.Minute)
	told(h, []string{"removed image " + ref("old:1")}, "events")

	// 120 MiB never fit: they are not even fetched.
	runs(h, "steady", simple("steady", script("while head -c 9000 /dev/zero > /file; do sleep 0.01; done; echo disk full"), "", ""))
	h.Write("huge.yaml", pulled("huge", ref("huge:1"), "IfNotPresent"))
	p := waiting(h, "huge", "ErrImagePull", "MiB are available")
	if w := p.Status.ContainerStatuses[0].State.Waiting; strings.Contains(w.Message, "no space left") {
		t.Errorf("the pull went on until the disk was full: %s", w.Message)
	}
	out, err := h.CLI("logs", "steady")
	if err != nil || strings.Contains(out, "disk full") {
		t.Errorf("the pod that writes met a full disk: %v: %s", err, out)
	}
}

// TestWhatArrivedOfAnImageThatDoesNotFitGoes: others fill the disk while an
// image is on its way.
func TestWhatArrivedOfAnImageThatDoesNotFitGoes(t *testing.T) {
	t.Parallel()
	h := harness.New(t, harness.Options{Config: "imageGC: {highThresholdPercent: 100}\n"})
	disk := h.Mount("state/containerd", 128, 0)
	var blobs atomic.Int32
	filled := make(chan struct{})
	r, host := registry(t, h, func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") && blobs.Add(1) > 1 {
			select { // the first is the configuration, which names the layers
			case <-filled:
			case <-r.Context().Done():
			}
		}
		return true
	}, "")
	pushBig(t, r, "big:1", 60, 0)
	h.Start()
	h.Write("big.yaml", pulled("big", host+"/big:1", "IfNotPresent"))
	told(h, []string{" of 61Mi"}, "status") // it is known to fit
	const left = 24 << 20
	disk.Leave(left)
	close(filled)
	waiting(h, "big", "ErrImagePull", "no space left on device")
	h.Remove("big.yaml")
	h.Eventually(time.Minute, func() error {
		if now := disk.Available(); now < left-4<<20 {
			return fmt.Errorf("%d MiB are available after the pull that failed, %d were before", now>>20, left>>20)
		}
		return nil
	})
}

// TestDeadLayersGiveRoomBack: a pod whose work is over keeps its record and its
// log, and not the disk that it filled.
func TestDeadLayersGiveRoomBack(t *testing.T) {
	t.Parallel()
	h := harness.New(t, harness.Options{Config: "imageGC: {highThresholdPercent: 60, minimumAge: 1s}\n"})
	disk := h.Mount("state/containerd", 128, 0)
	addShell(t, h)
	h.Start()
	h.Write("job.yaml", simple("job", once("head -c 72000000 /dev/zero > /file", "echo written"), "restartPolicy: Never\n", ""))
	h.WaitPod("default/job", time.Minute, func(p corev1.Pod) error {
		if p.Status.Phase != corev1.PodSucceeded {
			return fmt.Errorf("phase %s", p.Status.Phase)
		}
		return nil
	})
	h.Eventually(recovers, func() error {
		if used := disk.Size() - disk.Available(); used > 40<<20 {
			return fmt.Errorf("%d MiB are in use, want the layer of the dead container gone", used>>20)
		}
		return nil
	})
	says(t, h, "job", "written")
	if p, err := h.Pod("default/job"); err != nil || p.Status.Phase != corev1.PodSucceeded {
		t.Errorf("%v, %v", p.Status, err)
	}
}
