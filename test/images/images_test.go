package images_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/podstead/podstead/test/images"
)

func witness(t *testing.T) v1.Image {
	t.Helper()
	img, err := images.FromGo(t.Context(), images.WitnessPackage, images.Options{
		Files: map[string]images.File{"/etc/app/conf": {Mode: 0o600, Content: []byte("x=1")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// listing returns the names in an image's root file system.
func listing(t *testing.T, img v1.Image) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	rc := mutate.Extract(img)
	defer rc.Close()
	for r := tar.NewReader(rc); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names["/"+h.Name] = true
	}
}

func TestGoImagesArePulledAsTheyWereBuilt(t *testing.T) {
	r := images.NewRegistry()
	defer r.Close()
	img := witness(t)
	ref, err := r.Push("witness:1", img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pull(ref)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := img.Digest()
	if digest, err := got.Digest(); err != nil || digest != want {
		t.Errorf("got %v, %v, want %v", digest, err, want)
	}
	files := listing(t, got)
	for _, name := range []string{"/witness", "/etc/passwd", "/etc/app/conf"} {
		if !files[name] {
			t.Errorf("%s is not in the image", name)
		}
	}
	again, _ := witness(t).Digest()
	if again != want {
		t.Errorf("building it again gave %v, want the same %v", again, want)
	}
}

func TestArchives(t *testing.T) {
	dir := t.TempDir()
	img := witness(t)
	docker := filepath.Join(dir, "docker.tar")
	if err := images.WriteDocker(docker, map[string]v1.Image{"example.org/witness:1": img}); err != nil {
		t.Fatal(err)
	}
	tag, _ := name.NewTag("example.org/witness:1")
	if _, err := tarball.ImageFromPath(docker, &tag); err != nil {
		t.Error("docker archive:", err)
	}
	if err := images.WriteOCI(filepath.Join(dir, "oci.tar"), "example.org/witness:1", img); err != nil {
		t.Error("OCI archive:", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".oci-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestRegistryFaults(t *testing.T) {
	r := images.NewRegistry()
	defer r.Close()
	ref, err := r.Push("witness:1", witness(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{429, 500} {
		r.SetFault(images.Fault{Status: status, RetryAfter: "1", Match: "/manifests/"})
		resp, err := http.Get(fmt.Sprintf("http://%s/v2/witness/manifests/1", r.Host()))
		if err != nil || resp.StatusCode != status || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("got %v, %v, want %d with Retry-After", resp, err, status)
		}
	}
	r.SetFault(images.Fault{Gone: true})
	if _, err := http.Get("http://" + r.Host() + "/v2/"); !errors.Is(err, io.EOF) {
		t.Errorf("gone: got %v, want the connection closed", err)
	}
	r.SetFault(images.Fault{TruncateAfter: 100, Match: "/blobs/"})
	if _, err := pull(ref); err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("truncated: got %v, want an unexpected EOF", err)
	}
	r.SetFault(images.Fault{BytesPerSecond: 20, Match: "/manifests/"})
	began := time.Now()
	resp, err := http.Get(fmt.Sprintf("http://%s/v2/witness/manifests/1", r.Host()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.ReadFull(resp.Body, make([]byte, 4)); n != 4 || time.Since(began) < 100*time.Millisecond {
		t.Errorf("slow: %d bytes in %s, %v", n, time.Since(began), err)
	}
	r.SetFault(images.Fault{})
	if _, err := pull(ref); err != nil {
		t.Errorf("after the faults: %v", err)
	}
}

// pull fetches an image with all its layers, without trying again.
func pull(ref string) (v1.Image, error) {
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(r, remote.WithRetryStatusCodes())
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, mutate.Extract(img))
	return img, err
}

func TestDebianImages(t *testing.T) {
	img, err := images.FromDebian(t.Context(), images.Options{}, "redis-server", "nginx")
	if err != nil {
		t.Fatal(err)
	}
	files := listing(t, img)
	for _, name := range []string{"/usr/sbin/nginx", "/usr/bin/redis-check-rdb", "/lib64/ld-linux-x86-64.so.2"} {
		if !files[name] {
			t.Errorf("%s is not in the image", name)
		}
	}
	if files["/usr/bin/perl"] {
		t.Error("perl is in the image, though nothing runs it")
	}
	size := int64(0)
	layers, _ := img.Layers()
	for _, l := range layers {
		n, err := l.Size()
		if err != nil {
			t.Fatal(err)
		}
		size += n
	}
	t.Logf("%d files, %d MiB compressed", len(files), size>>20)
}
