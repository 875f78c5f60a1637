package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

var imageRows = []row{
	{"Row63_StalledPullIsTriedAgain", stalledPull},
	{"Row63_ImageNeverPull", neverPull},
	{"Row63_ErrImagePullThenImagePullBackOff", pullBackOff},
	{"Row63_PrivateRegistry", privateRegistry},
	{"Row63_ParallelPulls", parallelPulls},
}

// registry starts a registry behind a front that may hold requests up, and
// returns the name by which podstead reaches it.
func registry(t *testing.T, h *harness.Host, front func(w http.ResponseWriter, r *http.Request) bool, authorization string) (*images.Registry, string) {
	t.Helper()
	r := images.NewRegistry()
	t.Cleanup(r.Close)
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.Host()})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if front(w, req) {
			behind.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	host := strings.TrimPrefix(s.URL, "http://")
	dir := filepath.Join(h.Hosts, host)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("server = %[1]q\n[host.%[1]q]\n  capabilities = [\"pull\", \"resolve\"]\n", s.URL)
	if authorization != "" {
		text += fmt.Sprintf("[host.%q.header]\n  Authorization = %q\n", s.URL, authorization)
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return r, host
}

func open(http.ResponseWriter, *http.Request) bool { return true }

// shellImage is the shell with a mark that makes it an image of its own.
func shellImage(t *testing.T, mark string) v1.Image {
	t.Helper()
	img, err := images.FromDebian(t.Context(), images.Options{
		Files: map[string]images.File{"/mark": {Mode: 0o644, Content: []byte(mark + "\n")}},
	}, "busybox-static")
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// push puts an image into a registry.
func push(t *testing.T, r *images.Registry, tag, mark string) {
	t.Helper()
	if _, err := r.Push(tag, shellImage(t, mark)); err != nil {
		t.Fatal(err)
	}
}

// pulled is a pod whose image is to be pulled.
func pulled(name, ref, policy string) string {
	yaml := simple(name, script("cat /mark"), "", "imagePullPolicy: "+policy+"\n")
	return strings.ReplaceAll(yaml, shell, ref)
}

func neverPull(t *testing.T, h *harness.Host) {
	r, host := registry(t, h, open, "")
	push(t, r, "never:1", "never")
	h.Write("never.yaml", pulled("never", host+"/never:1", "Never"))
	waiting(h, "never", "ErrImageNeverPull", "imagePullPolicy is Never")
	if asked := r.Requests(); strings.Contains(strings.Join(asked, "\n"), "GET /v2/never") {
		t.Errorf("the registry was asked: %v", asked)
	}
}

func pullBackOff(t *testing.T, h *harness.Host) {
	r, host := registry(t, h, open, "")
	h.Write("backoff.yaml", pulled("backoff", host+"/backoff:1", "IfNotPresent"))
	waiting(h, "backoff", "ErrImagePull", "not found")
	waiting(h, "backoff", "ImagePullBackOff", "not found")
	push(t, r, "backoff:1", "there now")
	h.WaitRunning("default/backoff", time.Minute)
	says(t, h, "backoff", "there now")
}

func privateRegistry(t *testing.T, h *harness.Host) {
	secret := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:secret"))
	guard := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == secret {
			return true
		}
		w.Header().Set("Www-Authenticate", `Basic realm="test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}`, http.StatusUnauthorized)
		return false
	}
	known, knownHost := registry(t, h, guard, secret)
	push(t, known, "private:1", "let in")
	_, strangeHost := registry(t, h, guard, "")
	h.Write("private.yaml", pulled("private", knownHost+"/private:1", "Always"))
	h.Write("strange.yaml", pulled("strange", strangeHost+"/private:1", "Always"))
	says(t, h, "private", "let in")
	waiting(h, "strange", "ErrImagePull", "401 Unauthorized")
}

// parallelPulls: no image is given out before two are asked for.
func parallelPulls(t *testing.T, h *harness.Host) {
	var mu sync.Mutex
	asked, both := map[string]bool{}, make(chan struct{})
	r, host := registry(t, h, func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return true
		}
		mu.Lock()
		if repo := strings.Split(r.URL.Path, "/")[2]; !asked[repo] {
			asked[repo] = true
			if len(asked) == 2 {
				close(both)
			}
		}
		mu.Unlock()
		select {
		case <-both:
			return true
		case <-r.Context().Done():
			return false
		}
	}, "")
	push(t, r, "left:1", "left")
	push(t, r, "right:1", "right")
	h.Write("left.yaml", pulled("left", host+"/left:1", "Always"))
	h.Write("right.yaml", pulled("right", host+"/right:1", "Always"))
	says(t, h, "left", "left")
	says(t, h, "right", "right")
}

// stalling stops after some bytes of the body and never goes on.
type stalling struct {
	http.ResponseWriter
	ended <-chan struct{}
}

func (s stalling) Write(p []byte) (int, error) {
	n, err := s.ResponseWriter.Write(p[:min(len(p), 20)])
	if err != nil {
		return n, err
	}
	if err := http.NewResponseController(s.ResponseWriter).Flush(); err != nil {
		return n, err
	}
	<-s.ended
	return n, errors.New("cut off")
}

// stalledPull: a registry stops in the middle of each part of an image, as
// long as it is ill. A later try finds it well.
func stalledPull(t *testing.T, h *harness.Host) {
	var ill atomic.Bool
	ill.Store(true)
	var r *images.Registry
	var host string
	r, host = registry(t, h, func(w http.ResponseWriter, req *http.Request) bool {
		if !ill.Load() || !strings.Contains(req.URL.Path, "/blobs/") {
			return true
		}
		behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.Host()})
		behind.ErrorLog = log.New(io.Discard, "", 0)
		behind.ServeHTTP(stalling{w, req.Context().Done()}, req)
		return false
	}, "")
	push(t, r, "stalled:1", "went on")
	h.Write("stalled.yaml", pulled("stalled", host+"/stalled:1", "IfNotPresent"))
	const words = "nothing arrived and nothing was unpacked for 1m0s"
	h.WaitPod("default/stalled", 2*time.Minute, func(p corev1.Pod) error {
		for _, c := range p.Status.ContainerStatuses {
			if w := c.State.Waiting; w != nil && w.Reason == "ErrImagePull" && strings.Contains(w.Message, words) {
				return nil
			}
		}
		return fmt.Errorf("%+v, want a pull that stalled", p.Status.ContainerStatuses)
	})
	ill.Store(false)
	h.WaitRunning("default/stalled", time.Minute)
	says(t, h, "stalled", "went on")
}
