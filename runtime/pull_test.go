package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	v1random "github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/podstead/podstead/pod"
)

// shop is a registry that containerd knows as registry.test, by hosts.toml.
type shop struct {
	t       *testing.T
	address string
	hosts   string
	// stalled layers send half of themselves and then nothing; manifests and
	// configurations are smaller than that.
	stalled atomic.Bool
	blobs   atomic.Int32
}

const halfLayer = 200 << 10

func newShop(t *testing.T) *shop {
	s := &shop{t: t, hosts: t.TempDir()}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/sha256:") {
			s.blobs.Add(1)
			if s.stalled.Load() {
				w = &stallingWriter{ResponseWriter: w, left: halfLayer, ctx: r.Context()}
			}
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.address = strings.TrimPrefix(server.URL, "http://")
	dir := filepath.Join(s.hosts, "registry.test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("server = %q\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", server.URL, server.URL)
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// stallingWriter passes a part of a body on and then waits for the client to
// go away.
type stallingWriter struct {
	http.ResponseWriter
	left int
	ctx  context.Context
}

func (w *stallingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b[:min(len(b), w.left)])
	w.left -= n
	if err != nil || n == len(b) {
		return n, err
	}
	w.ResponseWriter.(http.Flusher).Flush()
	<-w.ctx.Done()
	return n, w.ctx.Err()
}

// push stores an image and returns the name by which containerd knows it.
func (s *shop) push(path string, img v1.Image) string {
	s.t.Helper()
	ref, err := name.ParseReference(s.address+"/"+path, name.Insecure)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		s.t.Fatal(err)
	}
	return "registry.test/" + path
}

// large is the guest image with another layer of random bytes.
func large(t *testing.T) v1.Image {
	t.Helper()
	layer, err := v1random.Layer(2*halfLayer, types.OCILayer, v1random.WithSource(rand.NewSource(1)))
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(built.image, layer)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPull(t *testing.T) {
	s := newShop(t)
	h := newHost(t, func(c *Config) { c.HostsDir = s.hosts })
	ref := s.push("shop/web:1", large(t))
	if _, ok, err := h.Lookup(t.Context(), ref); ok || err != nil {
		t.Fatalf("before the pull: %v, %v", ok, err)
	}
	var last pod.ImageProgress
	img, err := h.Pull(t.Context(), ref, func(p pod.ImageProgress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	if last.Layers != 2 || last.LayersDone != 2 || last.Done != last.Total || last.Total < 2*halfLayer {
		t.Errorf("the last progress is %+v", last)
	}
	for _, by := range []string{ref, "registry.test/shop/web@" + img.Digest} {
		found, ok, err := h.Lookup(t.Context(), by)
		if err != nil || !ok || found.Digest != img.Digest || found.Size != img.Size || found.Ref != by {
			t.Errorf("lookup of %s: %+v, %v, %v", by, found, ok, err)
		}
	}
	before := s.blobs.Load()
	if again, err := h.Pull(t.Context(), ref, nil); err != nil || again != img || s.blobs.Load() != before {
		t.Errorf("the second pull: %+v, %v, %d layers fetched", again, err, s.blobs.Load()-before)
	}
	h.start(h.request(img, "web", "wait"))
}

func TestMovedTagLeavesTheDigest(t *testing.T) {
	s := newShop(t)
	h := newHost(t, func(c *Config) { c.HostsDir = s.hosts })
	ref := s.push("shop/web:1", built.image)
	first, err := h.Pull(t.Context(), ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.push("shop/web:1", large(t))
	second, err := h.Pull(t.Context(), ref, nil)
	if err != nil || second.Digest == first.Digest {
		t.Fatalf("the tag leads to %+v, %v", second, err)
	}
	h.collectGarbage(second)
	fresh := h.another(func(*Config) {})
	if c, err := fresh.Start(t.Context(), h.request(first, "web", "wait")); err != nil || c.State != pod.StateRunning {
		t.Errorf("the old version is %s, %v", c.State, err)
	}
}

// collectGarbage has containerd delete whatever nothing refers to.
func (h *host) collectGarbage(img pod.Image) {
	h.t.Helper()
	ctx := h.scope(h.t.Context())
	store := h.client.ImageService()
	found, err := store.Get(ctx, img.Ref)
	if err != nil {
		h.t.Fatal(err)
	}
	found.Name = "example.com/passing:1"
	if _, err := store.Create(ctx, found); err != nil {
		h.t.Fatal(err)
	}
	if err := store.Delete(ctx, found.Name, images.SynchronousDelete()); err != nil {
		h.t.Fatal(err)
	}
}

func TestPullThatStalls(t *testing.T) {
	s := newShop(t)
	h := newHost(t, func(c *Config) { c.HostsDir, c.StallTimeout = s.hosts, 2*time.Second })
	ref := s.push("shop/web:1", large(t))
	s.stalled.Store(true)
	if _, err := h.Pull(t.Context(), ref, nil); !errors.Is(err, errStalled) || !strings.Contains(err.Error(), ref) {
		t.Errorf("a stalled pull: %v", err)
	}
	s.stalled.Store(false)
	if _, err := h.Pull(t.Context(), ref, nil); err != nil {
		t.Errorf("the next pull: %v", err)
	}
}

func TestPullIsNotEndedWhileItMoves(t *testing.T) {
	ctx, alive, stop := stallGuard(t.Context(), 300*time.Millisecond)
	defer stop()
	for range 40 {
		alive()
		time.Sleep(20 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("it ended although something moved")
	}
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), errStalled) {
		t.Errorf("the cause is %v", context.Cause(ctx))
	}
}

func TestImageForAnotherMachine(t *testing.T) {
	s := newShop(t)
	h := newHost(t, func(c *Config) { c.HostsDir = s.hosts })
	foreign := forPlatform(t, "s390x")
	single := s.push("shop/foreign:1", foreign)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: foreign, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}},
	})
	ref, err := name.ParseReference(s.address+"/shop/index:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{single, "registry.test/shop/index:1"} {
		_, err := h.Pull(t.Context(), ref, nil)
		var refused *pod.Refused
		if !errors.As(err, &refused) || refused.Reason != "ErrImagePull" || !strings.Contains(refused.Message, "linux/s390x") {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func forPlatform(t *testing.T, architecture string) v1.Image {
	t.Helper()
	file, err := built.image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.Architecture = architecture
	img, err := mutate.ConfigFile(built.image, file)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPullThatFails(t *testing.T) {
	s := newShop(t)
	h := newHost(t, func(c *Config) { c.HostsDir = s.hosts })
	if _, err := h.Pull(t.Context(), "registry.test/shop/none:1", nil); err == nil || !strings.Contains(err.Error(), "registry.test/shop/none:1") {
		t.Errorf("an image that is not there: %v", err)
	}
	var refused *pod.Refused
	if _, err := h.Pull(t.Context(), "Not A Name", nil); !errors.As(err, &refused) || refused.Reason != "InvalidImageName" {
		t.Errorf("a name that is none: %v", err)
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"nginx":         "docker.io/library/nginx:latest",
		"shop/web:1":    "docker.io/shop/web:1",
		"r.test:5000/a": "r.test:5000/a:latest",
		"nginx:1@sha256:" + strings.Repeat("a", 64): "docker.io/library/nginx@sha256:" + strings.Repeat("a", 64),
	} {
		if got, err := normalise(in); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
}
