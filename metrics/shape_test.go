package metrics

import (
	"context"
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// Every page can be parsed, and no series is on a page twice: two rows with
// the same labels would make Prometheus drop one of them.
func TestSeriesAreUnique(t *testing.T) {
	for _, p := range pages() {
		text, err := os.ReadFile(golden(p.path))
		if err != nil {
			t.Fatal(err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		if _, err := parser.TextToMetricFamilies(strings.NewReader(string(text))); err != nil {
			t.Errorf("%s: %v", p.path, err)
		}
		seen := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			series := line[:strings.LastIndex(line, " ")]
			if strings.HasPrefix(line, "#") {
				continue
			}
			if seen[series] {
				t.Errorf("%s: %s is there twice", p.path, series)
			}
			seen[series] = true
		}
	}
}

// The rules of dashboards take a row with an image for a container.
func TestPodRowsHaveNoImage(t *testing.T) {
	text, err := os.ReadFile(golden("/metrics/cadvisor"))
	if err != nil {
		t.Fatal(err)
	}
	pods := 0
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, `container="",`) {
			continue
		}
		pods++
		if !strings.Contains(line, `image="",`) {
			t.Errorf("a row of a pod has an image: %s", line)
		}
	}
	if pods == 0 || strings.Contains(string(text), pod.PauseName) {
		t.Errorf("%d rows of pods; want some, and none of pause containers", pods)
	}
}

// What is offered as OpenMetrics keeps its names there: the encoder appends
// _total to counters that lack it.
func TestOpenMetricsKeepsNames(t *testing.T) {
	for _, p := range pages() {
		for _, f := range p.families {
			if f.kind == counter && !strings.HasSuffix(f.name, "_total") && !p.textOnly {
				t.Errorf("%s: counter %s would be renamed", p.path, f.name)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h := New(config(snapshot())).Handler()
		accept := "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
		for path, want := range map[string]string{"/metrics": "application/openmetrics-text", "/metrics/cadvisor": "text/plain"} {
			w := get(h, path, "Accept", accept)
			if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, want) {
				t.Errorf("%s: content type %q, want %q", path, got, want)
			}
			if open := strings.HasSuffix(w.Body.String(), "# EOF\n"); open != strings.Contains(want, "openmetrics") {
				t.Errorf("%s: ends with %q", path, w.Body.String()[w.Body.Len()-20:])
			}
		}
	})
}

// No row bears a time: a time of its own keeps a series alive after its end.
func TestNoTimes(t *testing.T) {
	row := regexp.MustCompile(`(?m)^[a-z_]+(\{.*\})? \S+ \S+$`)
	for _, p := range pages() {
		text, err := os.ReadFile(golden(p.path))
		if err != nil {
			t.Fatal(err)
		}
		if found := row.FindString(string(text)); found != "" {
			t.Errorf("%s: %s", p.path, found)
		}
	}
}

func TestLabelsAreBoundedAndClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "bad\xff": "bad\uFFFD", strings.Repeat("x", 300): strings.Repeat("x", maxLabel),
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestVulnerabilities(t *testing.T) {
	for version, want := range map[string]int{
		"v2.3.7": 0, "v2.3.5": 0, "v2.3.4": 1, "v2.3.1": 6, "v2.4.0": 0, "2.2.5": 1, "2.0.9": 6, "1.6.20~ds1": 6, "1.7.33": 1, "": 0, "devel": 0, "v3.0.0": 0,
	} {
		if got := vulnerabilities(version); len(got) != want {
			t.Errorf("%s: %q, want %d", version, got, want)
		}
	}
}

func TestHealth(t *testing.T) {
	snap := snapshot()
	c := config(snap)
	var dead error
	c.Alive = func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the question to the agent has no end")
		}
		return dead
	}
	h := New(c).Handler()
	expect := func(path string, code int, text string) {
		t.Helper()
		w := get(h, path)
		if w.Code != code || w.Body.String() != text {
			t.Errorf("%s: %d %q, want %d %q", path, w.Code, w.Body, code, text)
		}
	}
	expect("/readyz", http.StatusServiceUnavailable, "[-]sources failed: not read yet: fleet\nreadyz check failed\n")
	snap.Sources[0].Synced = true
	expect("/readyz", http.StatusOK, "ok\n")
	expect("/readyz?verbose", http.StatusOK, "[+]agent ok\n[+]runtime ok\n[+]sources ok\nreadyz check passed\n")
	snap.Runtime.Up = false
	expect("/readyz", http.StatusServiceUnavailable, "[-]runtime failed: containerd does not answer\nreadyz check failed\n")
	expect("/healthz", http.StatusOK, "ok\n")
	dead = errors.New("the agent does not answer")
	expect("/healthz", http.StatusServiceUnavailable, "[-]agent failed: the agent does not answer\nhealthz check failed\n")
}

// TestScrapeOfManyPods holds the budget of a scrape: 100 pods of two
// containers within 50 ms, in processor time, since other tests run beside.
func TestScrapeOfManyPods(t *testing.T) {
	h := New(config(many(100))).Handler()
	size, series := 0, 0
	for _, p := range pages() {
		page := get(h, p.path).Body.String()
		size += len(page)
		series += strings.Count(page, "\n") - strings.Count(page, "\n#")
		best := time.Hour
		for range 5 {
			began := cpuTime(t)
			h.ServeHTTP(&discard{header: http.Header{}}, request(p.path))
			best = min(best, cpuTime(t)-began)
		}
		t.Logf("%s: %s, %d kB", p.path, best, len(page)>>10)
		if best > 50*time.Millisecond {
			t.Errorf("%s took %s of a processor, want at most 50 ms", p.path, best)
		}
	}
	t.Logf("all pages: %d series, %d kB", series, size>>10)
	if size > 6<<20 || series > 22_000 {
		t.Errorf("%d bytes in %d series", size, series)
	}
	most := testing.AllocsPerRun(5, func() { h.ServeHTTP(&discard{header: http.Header{}}, request("/metrics/cadvisor")) })
	t.Logf("/metrics/cadvisor: %.0f allocations", most)
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
