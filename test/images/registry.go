package images

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Fault is how a registry misbehaves. The zero Fault behaves.
type Fault struct {
	// Status answers with this code, and RetryAfter with that header.
	Status     int
	RetryAfter string
	// Gone closes the connection without an answer.
	Gone bool
	// BytesPerSecond slows the body down.
	BytesPerSecond int
	// TruncateAfter closes the connection after so many bytes of the body.
	TruncateAfter int64
	// Match limits the fault to paths that contain it, such as "/blobs/".
	Match string
}

// Registry is a registry in this process, over plain HTTP on loopback. Its
// methods may be called at any time.
type Registry struct {
	server *httptest.Server

	mu       sync.Mutex
	fault    Fault
	requests []string
}

// NewRegistry starts a registry that is empty and behaves.
func NewRegistry() *Registry {
	r := &Registry{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.serve(w, req, inner)
	}))
	return r
}

// Close stops the registry; requests that hang are cut off.
func (r *Registry) Close() {
	r.server.CloseClientConnections()
	r.server.Close()
}

// Host is its address, to begin references with.
func (r *Registry) Host() string { return strings.TrimPrefix(r.server.URL, "http://") }

// Push puts an image at REPOSITORY:TAG and returns its whole reference.
func (r *Registry) Push(repoTag string, img v1.Image) (string, error) {
	ref, err := name.ParseReference(r.Host()+"/"+repoTag, name.Insecure)
	if err != nil {
		return "", err
	}
	if err := remote.Write(ref, img); err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	return ref.String(), nil
}

// SetFault changes how the registry behaves from the next request on.
func (r *Registry) SetFault(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

// Requests returns "METHOD PATH" of everything asked so far.
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.requests...)
}

// WriteHosts makes a folder for containerd's hosts.toml that says how this
// registry is reached, also by the names of others, for which it then stands.
func (r *Registry) WriteHosts(dir string, alias ...string) error {
	for _, host := range append(alias, r.Host()) {
		folder := filepath.Join(dir, host)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		text := fmt.Sprintf("server = %q\n\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", r.server.URL, r.server.URL)
		if err := os.WriteFile(filepath.Join(folder, "hosts.toml"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request, inner http.Handler) {
	r.mu.Lock()
	fault := r.fault
	r.requests = append(r.requests, req.Method+" "+req.URL.Path)
	r.mu.Unlock()
	if fault == (Fault{}) || !strings.Contains(req.URL.Path, fault.Match) {
		inner.ServeHTTP(w, req)
		return
	}
	switch {
	case fault.Gone:
		panic(http.ErrAbortHandler)
	case fault.Status != 0:
		if fault.RetryAfter != "" {
			w.Header().Set("Retry-After", fault.RetryAfter)
		}
		http.Error(w, `{"errors":[{"code":"UNKNOWN","message":"fault"}]}`, fault.Status)
	default:
		inner.ServeHTTP(&faultyWriter{ResponseWriter: w, fault: fault, req: req}, req)
	}
}

// faultyWriter spoils the body of an answer.
type faultyWriter struct {
	http.ResponseWriter
	fault   Fault
	req     *http.Request
	written int64
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		n := len(p)
		if w.fault.BytesPerSecond > 0 {
			n = 1
		}
		if limit := w.fault.TruncateAfter; limit > 0 {
			if w.written >= limit {
				w.abort()
			}
			n = int(min(int64(n), limit-w.written))
		}
		m, err := w.ResponseWriter.Write(p[:n])
		total += m
		w.written += int64(m)
		if err != nil {
			return total, err
		}
		p = p[m:]
		w.pace()
	}
	return total, nil
}

// abort cuts the connection after what was written has been sent.
func (w *faultyWriter) abort() {
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

func (w *faultyWriter) pace() {
	if w.fault.BytesPerSecond <= 0 {
		return
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	select {
	case <-time.After(time.Second / time.Duration(w.fault.BytesPerSecond)):
	case <-w.req.Context().Done():
		panic(http.ErrAbortHandler)
	}
}
