package metrics

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// A reading that hangs, hangs no scrape: the first waits a second, and every
// later one gets the page at once, with the reading before it.
func TestHangingStatisticsHangNoScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(snapshot())
		stats := &fakeStats{}
		c.Stats = stats
		s := New(c)
		h := s.Handler()
		before := get(h, "/metrics/cadvisor").Body.String()
		hang := make(chan struct{})
		stats.mu.Lock()
		stats.hang = hang
		stats.mu.Unlock()
		time.Sleep(time.Minute)
		for i, atMost := range []time.Duration{readingWait, 0, 0} {
			began := time.Now()
			page := get(h, "/metrics/cadvisor").Body.String()
			if took := time.Since(began); took > atMost {
				t.Errorf("scrape %d took %s, want at most %s", i, took, atMost)
			}
			if page != before {
				t.Errorf("scrape %d is not the reading before", i)
			}
		}
		if !strings.Contains(get(h, "/metrics/resource").Body.String(), "scrape_error 1") {
			t.Error("scrape_error does not tell that the reading is old")
		}
		close(hang)
		synctest.Wait()
		if !strings.Contains(get(h, "/metrics/resource").Body.String(), "scrape_error 0") {
			t.Error("scrape_error tells of an error that is over")
		}
	})
}

// Without any reading a page still comes, and so does what needs none.
func TestFirstReadingHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(snapshot())
		hang := make(chan struct{})
		c.Stats = &fakeStats{hang: hang}
		h := New(c).Handler()
		for _, p := range pages() {
			if w := get(h, p.path); w.Code != http.StatusOK || w.Body.Len() == 0 {
				t.Errorf("%s: status %d, %d bytes", p.path, w.Code, w.Body.Len())
			}
		}
		close(hang)
		synctest.Wait()
	})
}

// Scrapes of the same second share one reading; scrapes at the same time too.
func TestReadingsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(snapshot())
		hang := make(chan struct{})
		stats := &fakeStats{hang: hang}
		c.Stats = stats
		h := New(c).Handler()
		const one = 5 // two pods and three containers run
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { get(h, "/metrics/cadvisor") })
		}
		synctest.Wait()
		if n := stats.count(); n != 2 { // the pods of one reading, beside one another
			t.Errorf("%d pods are read at the same time, want 2", n)
		}
		close(hang)
		all.Wait()
		time.Sleep(readingAge - time.Millisecond)
		get(h, "/metrics/resource")
		if n := stats.count(); n != one {
			t.Errorf("%d cgroups were read, want %d", n, one)
		}
		get(h, "/metrics") // which shows none
		time.Sleep(time.Millisecond)
		get(h, "/metrics/resource")
		get(h, "/metrics/resource")
		if n := stats.count(); n != 2*one {
			t.Errorf("%d cgroups were read after a second, want %d", n, 2*one)
		}
	})
}

// A container that is gone has no rows, whatever was read of it before.
func TestWhatIsGoneIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := snapshot()
		h := New(config(snap)).Handler()
		if !strings.Contains(get(h, "/metrics/cadvisor").Body.String(), `container="helper"`) {
			t.Fatal("the container is not shown while it runs")
		}
		snap.Pods[1].Containers[1].PID = 0
		if strings.Contains(get(h, "/metrics/cadvisor").Body.String(), `container="helper"`) {
			t.Error("the container is shown though it does not run")
		}
	})
}

// Disk use is measured at most once a minute, and not at all when nobody asks.
func TestDiskIsMeasuredBesideAndSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(snapshot())
		disk := &fakeDisk{}
		c.Disk = disk
		s := New(c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.meter.run(ctx); close(done) }()
		h := s.Handler()
		time.Sleep(time.Hour)
		synctest.Wait()
		if disk.measured != 0 {
			t.Errorf("%d pods were measured though nobody asked", disk.measured)
		}
		pods := len(c.Snapshots.Latest().Pods)
		for range 8 {
			get(h, "/metrics/cadvisor")
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		if disk.measured != 3*pods {
			t.Errorf("%d pods were measured in two minutes, want %d", disk.measured, 3*pods)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if most := 9 * pods; disk.measured > most {
			t.Errorf("%d pods were measured, want at most %d after the last scrape", disk.measured, most)
		}
		cancel()
		<-done
	})
}

// What strangers ask for makes no series and no page.
func TestOnlyKnownPathsAreAnswered(t *testing.T) {
	h := New(config(snapshot())).Handler()
	before := get(h, "/metrics/state").Body.String()
	for i := range 100 {
		if w := get(h, fmt.Sprintf("/metrics/%d", i)); w.Code != http.StatusNotFound {
			t.Fatalf("/metrics/%d: status %d", i, w.Code)
		}
	}
	r, err := http.NewRequest(http.MethodPost, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &discard{header: http.Header{}}
	h.ServeHTTP(w, r)
	if w.code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", w.code)
	}
	if after := get(h, "/metrics/state").Body.String(); after != before {
		t.Error("the page changed by requests")
	}
}

type discard struct {
	header http.Header
	code   int
}

func (d *discard) Header() http.Header            { return d.header }
func (d *discard) Write(text []byte) (int, error) { return len(text), nil }
func (d *discard) WriteHeader(code int)           { d.code = code }

// The 41st scrape at the same time is refused.
func TestScrapesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(snapshot())
		hang := make(chan struct{})
		c.Stats = &fakeStats{hang: hang}
		h := New(c).Handler()
		var all sync.WaitGroup
		for range maxScrapes {
			all.Go(func() { get(h, "/metrics/cadvisor") })
		}
		synctest.Wait()
		if w := get(h, "/metrics/state"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("status %d, want 503", w.Code)
		}
		close(hang)
		all.Wait()
		if w := get(h, "/metrics"); !strings.Contains(w.Body.String(), "podstead_metrics_scrapes_refused_total 1") {
			t.Errorf("status %d, want the refused scrape counted", w.Code)
		}
	})
}

// Above the bound optional metrics go, each as a whole, and are counted.
func TestTooManySeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(snapshot())
		c.MaxSeries = 190
		h := New(c).Handler()
		page := get(h, "/metrics/cadvisor").Body.String()
		if strings.Contains(page, "container_network_transmit_errors_total{") || !strings.Contains(page, "container_memory_working_set_bytes{") {
			t.Error("want memory, which is no optional metric, and no errors of networks")
		}
		for _, f := range ioFamilies() {
			if n := strings.Count(page, "\n"+f.name+"{"); n != 0 && n != 3 {
				t.Errorf("%s has %d rows, want all 3 or none", f.name, n)
			}
		}
		if strings.Contains(get(h, "/metrics").Body.String(), "podstead_metrics_series_dropped_total 0\n") {
			t.Error("what was left out is not counted")
		}
	})
}

func TestDroppedLabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(snapshot())
		c.Drop = []string{"id", "name"}
		page := get(New(c).Handler(), "/metrics/cadvisor").Body.String()
		if strings.Contains(page, `id="/podstead`) || strings.Contains(page, ",name=") || !strings.Contains(page, `container_threads{container="nginx",image="docker.io/library/nginx:1",namespace="default",pod="web"} 5`) {
			t.Error("want rows without id and name")
		}
	})
}

// serving runs a server until the test ends and returns its address.
func serving(t *testing.T, c Config) (*Server, string) {
	t.Helper()
	c.Address = "127.0.0.1:0"
	s := New(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); !s.Status().Serving; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not serve: %+v", s.Status())
		}
	}
	return s, s.Status().Address
}

// A taken address is told, and had as soon as it is free.
func TestTakenAddress(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := config(snapshot())
	told := make(chan Status, 10)
	c.Address, c.Report = other.Addr().String(), func(s Status) { told <- s }
	s := New(c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if st := <-told; st.Serving || !strings.Contains(st.Error, c.Address) || !strings.Contains(st.Error, "address already in use") || st != s.Status() {
		t.Errorf("told %+v, want an error that names the address and the reason", st)
	}
	other.Close()
	if st := <-told; !st.Serving {
		t.Errorf("told %+v, want it to serve", st)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func webConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Users, TLS and the rate limit of the toolkit's file hold for every path.
func TestWebConfigFile(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := selfSigned(t)
	c := config(snapshot())
	c.WebConfigFile = webConfig(t, fmt.Sprintf("tls_server_config: {cert_file: %s, key_file: %s}\nbasic_auth_users: {prom: %q}\nrate_limit: {interval: 1h, burst: 14}\n", cert, key, hash))
	_, address := serving(t, c)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	ask := func(path, password string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("prom", password)
		w, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		_, _ = io.Copy(io.Discard, w.Body)
		return w.StatusCode
	}
	for _, path := range []string{"/metrics", "/metrics/cadvisor", "/metrics/resource", "/metrics/probes", "/metrics/state", "/healthz", "/readyz"} {
		if code := ask(path, "wrong"); code != http.StatusUnauthorized {
			t.Errorf("%s with a wrong password: status %d", path, code)
		}
		if code := ask(path, "secret"); code == http.StatusUnauthorized || code == http.StatusTooManyRequests {
			t.Errorf("%s: status %d", path, code)
		}
	}
	if code := ask("/metrics", "secret"); code != http.StatusTooManyRequests {
		t.Errorf("above the rate limit: status %d", code)
	}
}

func TestBadWebConfigFileIsNamed(t *testing.T) {
	c := config(snapshot())
	told := make(chan Status, 10)
	c.Address, c.WebConfigFile, c.Report = "127.0.0.1:0", webConfig(t, "tls_server_config: {cert_file: /nowhere}\n"), func(s Status) { told <- s }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(c).Run(ctx) }()
	if st := <-told; st.Serving || !strings.Contains(st.Error, c.WebConfigFile) {
		t.Errorf("told %+v, want an error that names the file", st)
	}
	cancel()
	<-done
}

// A client that sends its header slowly, and one that sends too much, are cut
// off; others are answered meanwhile.
func TestSlowAndLargeHeaders(t *testing.T) {
	t.Parallel()
	_, address := serving(t, config(snapshot()))
	var slow []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nX-Slow: ")
		slow = append(slow, c)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics/state", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	if w, err := http.DefaultClient.Do(r); err == nil {
		if w.Body.Close(); w.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a large header: status %d", w.StatusCode)
		}
	}
	w, err := http.Get("http://" + address + "/metrics/state")
	if err != nil || w.StatusCode != http.StatusOK {
		t.Fatalf("while others are slow: %v, %v", w, err)
	}
	w.Body.Close()
	for _, c := range slow {
		_ = c.SetReadDeadline(time.Now().Add(4 * headerTime))
		if _, err := io.ReadAll(c); err != nil {
			t.Fatalf("a slow client was not cut off: %v", err)
		}
	}
}
