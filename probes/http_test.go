package probes_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/probes"
)

func portOf(t *testing.T, s *httptest.Server) int {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func httpServer(t *testing.T, h http.HandlerFunc) int {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return portOf(t, s)
}

func TestHTTPStatuses(t *testing.T) {
	for status, want := range map[int]pod.ProbeOutcome{
		200: pod.ProbeSuccess, 204: pod.ProbeSuccess, 304: pod.ProbeSuccess, 399: pod.ProbeSuccess,
		302: pod.ProbeSuccess, // without a Location it stands for itself
		400: pod.ProbeFailure, 404: pod.ProbeFailure, 500: pod.ProbeFailure, 503: pod.ProbeFailure,
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			port := httpServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			message := fmt.Sprintf("HTTP GET http://127.0.0.1:%d/healthz: status %d", port, status)
			if want == pod.ProbeFailure {
				message += ", want 200 to 399"
			}
			check(t, once(t, httpTarget(port), nil), want, message)
		})
	}
}

func TestHTTPSaysWhatTheServerSaid(t *testing.T) {
	port := httpServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		fmt.Fprint(w, "over\x1b[31mloaded\u202e\n")
	})
	check(t, once(t, httpTarget(port), nil), pod.ProbeFailure, fmt.Sprintf(
		`HTTP GET http://127.0.0.1:%d/healthz: status 503, want 200 to 399: "over\x1b[31mloaded\u202e"`, port))
}

func TestHTTPRequest(t *testing.T) {
	seen := make(chan *http.Request, 1)
	port := httpServer(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r })
	headers := func(list ...corev1.HTTPHeader) func(*corev1.HTTPGetAction) {
		return func(a *corev1.HTTPGetAction) { a.HTTPHeaders = list }
	}
	local := fmt.Sprintf("127.0.0.1:%d", port)
	for name, c := range map[string]struct {
		change func(*corev1.HTTPGetAction)
		host   string
		uri    string
		header http.Header
	}{
		"plain": {headers(), local, "/healthz", http.Header{
			"User-Agent": {"kube-probe/1.36 (podstead)"}, "Accept": {"*/*"}, "Connection": {"close"},
		}},
		"headers": {headers(
			corev1.HTTPHeader{Name: "host", Value: "app.example"}, corev1.HTTPHeader{Name: "X-A", Value: "1"},
			corev1.HTTPHeader{Name: "x-a", Value: "2"}, corev1.HTTPHeader{Name: "user-agent", Value: "mine"},
			corev1.HTTPHeader{Name: "Accept", Value: ""},
		), "app.example", "/healthz", http.Header{"X-A": {"1", "2"}, "User-Agent": {"mine"}, "Connection": {"close"}}},
		"query":     {func(a *corev1.HTTPGetAction) { a.Path = "/a b?x=1" }, local, "/a%20b?x=1", nil},
		"other URL": {func(a *corev1.HTTPGetAction) { a.Path = "//evil.example/x" }, local, "/x", nil},
		"no slash":  {func(a *corev1.HTTPGetAction) { a.Path = "x" }, local, "/x", nil},
		"no path":   {func(a *corev1.HTTPGetAction) { a.Path = "" }, local, "/", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := once(t, httpTarget(port, c.change), nil); got.Result != pod.ProbeSuccess {
				t.Error(got.Message)
			}
			r := <-seen
			if r.Method != "GET" || r.Host != c.host || r.RequestURI != c.uri || r.Proto != "HTTP/1.1" {
				t.Errorf("got %s %s of %s by %s", r.Method, r.RequestURI, r.Host, r.Proto)
			}
			if c.header != nil {
				if diff := cmp.Diff(c.header, r.Header); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestHTTPKnowsNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	port := httpServer(t, func(http.ResponseWriter, *http.Request) {})
	if got := once(t, httpTarget(port), nil); got.Result != pod.ProbeSuccess {
		t.Error(got.Message)
	}
}

func TestPortsAndHosts(t *testing.T) {
	port := httpServer(t, func(http.ResponseWriter, *http.Request) {})
	named := httpTarget(port, func(a *corev1.HTTPGetAction) { a.Port = intstr.FromString("web") })
	check(t, once(t, named, nil), pod.ProbeFailure, `HTTP GET: port "web" is not among the ports of container "app"`)
	named.Spec = &corev1.Container{Name: "app", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(port)}}}
	if got := once(t, named, nil); got.Result != pod.ProbeSuccess {
		t.Error(got.Message)
	}

	elsewhere := httpTarget(port, func(a *corev1.HTTPGetAction) { a.Host = "127.0.0.1" })
	elsewhere.Host = "127.0.0.99"
	if got := once(t, elsewhere, nil); got.Result != pod.ProbeSuccess {
		t.Errorf("the host of the probe was not asked: %s", got.Message)
	}

	without := httpTarget(port)
	without.Host = ""
	check(t, once(t, without, nil), pod.ProbeUnknown, "probe over the network: the pod has no address: not to be tried yet; the attempt does not count")
}

func TestHTTPS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	port := portOf(t, s)
	https := func(a *corev1.HTTPGetAction) { a.Scheme = corev1.URISchemeHTTPS }
	check(t, once(t, httpTarget(port, https), nil), pod.ProbeSuccess,
		fmt.Sprintf("HTTP GET https://127.0.0.1:%d/healthz: status 200", port))

	plain := httpServer(t, func(http.ResponseWriter, *http.Request) {})
	checkContains(t, once(t, httpTarget(plain, https), nil), pod.ProbeFailure, "TLS")
}

func TestRedirects(t *testing.T) {
	var strayed atomic.Int32
	other := httpServer(t, func(http.ResponseWriter, *http.Request) { strayed.Add(1) })
	var visited atomic.Int32
	var location atomic.Value
	port := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		if visited.Add(1); r.URL.Path == "/teapot" {
			w.WriteHeader(418)
			return
		}
		w.Header().Set("Location", location.Load().(string))
		w.WriteHeader(302)
	})
	for name, c := range map[string]struct {
		location string
		result   pod.ProbeOutcome
		says     string
		visits   int32
	}{
		"within":         {"/teapot", pod.ProbeFailure, "status 418, want 200 to 399", 2},
		"within, whole":  {fmt.Sprintf("http://127.0.0.1:%d/teapot", port), pod.ProbeFailure, "status 418", 2},
		"loop":           {"/healthz", pod.ProbeFailure, "stopped after 10 redirects", 11},
		"another port":   {fmt.Sprintf("http://127.0.0.1:%d/", other), pod.ProbeSuccess, fmt.Sprintf(`status 302, a redirect to another server that was not followed: "http://127.0.0.1:%d/"`, other), 1},
		"another host":   {fmt.Sprintf("http://127.0.0.2:%d/teapot", port), pod.ProbeSuccess, "not followed", 1},
		"metadata":       {"http://169.254.169.254/latest/meta-data", pod.ProbeSuccess, "not followed", 1},
		"another scheme": {fmt.Sprintf("https://127.0.0.1:%d/teapot", port), pod.ProbeSuccess, "not followed", 1},
		"file":           {"file:///etc/passwd", pod.ProbeSuccess, "not followed", 1},
		"garbage":        {"http://[::1/%zz", pod.ProbeFailure, "a Location that is no URL", 1},
	} {
		t.Run(name, func(t *testing.T) {
			visited.Store(0)
			location.Store(c.location)
			checkContains(t, once(t, httpTarget(port), nil), c.result, c.says)
			if visited.Load() != c.visits || strayed.Load() != 0 {
				t.Errorf("got %d requests, %d to another server, want %d and 0", visited.Load(), strayed.Load(), c.visits)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	check(t, once(t, httpTarget(port), nil), pod.ProbeFailure,
		fmt.Sprintf("HTTP GET http://127.0.0.1:%d/healthz: connection refused", port))
}

func TestWantOfDescriptorsIsNobodysFault(t *testing.T) {
	port := serve(t, func(net.Conn) {})
	r := probes.New(probes.Config{Now: realNow, Judge: func(pod.ProbeVerdict) {}})
	run(t, r)
	lowest, err := os.Open(os.DevNull) // all below it are taken
	if err != nil {
		t.Fatal(err)
	}
	defer lowest.Close()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = uint64(lowest.Fd()) + 1
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) }()
	r.Set([]pod.ProbeTarget{httpTarget(port)})
	await(t, "an attempt", func() bool { return len(r.Reports("a")[0].Recent) > 0 })
	check(t, r.Reports("a")[0].Recent[0], pod.ProbeUnknown,
		fmt.Sprintf("HTTP GET http://127.0.0.1:%d/healthz: too many open files; the attempt does not count", port))
}

func TestHooks(t *testing.T) {
	seen := make(chan *http.Request, 1)
	port := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500) // counts in a hook
		seen <- r
	})
	action := httpTarget(port).Probe.HTTPGet
	action.HTTPHeaders = []corev1.HTTPHeader{{Name: "Authorization", Value: "secret"}}
	get := func(a *corev1.HTTPGetAction) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return probes.HTTPGet(ctx, a, &corev1.Container{}, "127.0.0.1")
	}
	message, err := get(action)
	if want := fmt.Sprintf("HTTP GET http://127.0.0.1:%d/healthz: status 500", port); err != nil || message != want {
		t.Errorf("got %q, %v, want %q", message, err, want)
	}
	if r := <-seen; r.UserAgent() != "kube-lifecycle/1.36 (podstead)" || r.Header.Get("Authorization") != "secret" {
		t.Errorf("got headers %v", r.Header)
	}

	action.Scheme = corev1.URISchemeHTTPS // which the server does not speak
	if message, err = get(action); err != nil || !strings.Contains(message, "http://") {
		t.Errorf("got %q, %v, want a plain request", message, err)
	}
	if r := <-seen; r.Header.Get("Authorization") != "" {
		t.Error("the secret was sent in the clear")
	}

	action.Port = intstr.FromString("web")
	if _, err = get(action); err == nil || !strings.Contains(err.Error(), `port "web"`) {
		t.Errorf("got %v", err)
	}
}

func TestAHookEndsWithItsContext(t *testing.T) {
	port := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := probes.HTTPGet(ctx, httpTarget(port).Probe.HTTPGet, &corev1.Container{}, "127.0.0.1")
	if err == nil || !strings.Contains(err.Error(), "no answer: context deadline exceeded") {
		t.Errorf("got %v", err)
	}
}
