package runtime

import (
	"errors"
	"testing"

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
	stored, err := h.StoredImages(t.Context())
	if err != nil || len(stored) == 0 {
		t.Fatalf("%d images are stored: %v", len(stored), err)
	}
	for _, s := range stored {
		if err := h.RemoveImage(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range map[string]*Runtime{"read before": h.Runtime, "not read yet": h.another(func(*Config) {})} {
		if _, err := r.Start(t.Context(), h.request(img, "again", "exit", "0")); !errors.Is(err, pod.ErrImageGone) {
			t.Errorf("%s: %v, want that the image is gone", name, err)
		}
	}
}
