package runtime

import (
	"errors"
	"testing"

	"github.com/containerd/containerd/v2/core/images"

	"github.com/podstead/podstead/pod"
)

// TestStartTellsThatItsImageIsGone: one that somebody removed, whether it was
// read before or not.
func TestStartTellsThatItsImageIsGone(t *testing.T) {
	h, img := newHostWithImage(t)
	h.reap(h.start(h.request(img, "web", "exit", "0")).ID)
	if err := h.Remove(t.Context(), h.request(img, "web", "exit", "0").ID); err != nil {
		t.Fatal(err)
	}
	ctx := h.scope(t.Context())
	list, err := h.client.ImageService().List(ctx)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d images are stored: %v", len(list), err)
	}
	for _, i := range list { // as ctr does, behind our back
		if err := h.client.ImageService().Delete(ctx, i.Name, images.SynchronousDelete()); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range map[string]*Runtime{"read before": h.Runtime, "not read yet": h.another(func(*Config) {})} {
		if _, err := r.Start(t.Context(), h.request(img, "again", "exit", "0")); !errors.Is(err, pod.ErrImageGone) {
			t.Errorf("%s: %v, want that the image is gone", name, err)
		}
	}
}
