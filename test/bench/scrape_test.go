package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/test/record"
)

const (
	metricsAddress = "127.0.0.1:19255"
	scrapeInterval = 15 * time.Second
	// scrapeRounds is how often each page is measured, and apart how long
	// readings are not shared by two of them.
	scrapeRounds = 5
	apart        = 1100 * time.Millisecond
)

// pages are all endpoints with metrics.
var pages = []string{"/metrics", "/metrics/cadvisor", "/metrics/resource", "/metrics/probes", "/metrics/state"}

// prometheus is what Prometheus 3 sends.
func prometheus() http.Header {
	return http.Header{
		"Accept":          {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"},
		"Accept-Encoding": {"gzip"},
	}
}

// scrape reads a page.
func scrape(ctx context.Context, page string, header http.Header) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+metricsAddress+page, nil)
	if err != nil {
		return nil, err
	}
	r.Header = header
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", page, answer.StatusCode, text)
	}
	return text, err
}

// scraping scrapes every page once in an interval, each at a time of its own,
// as Prometheus spreads its targets, until the result is called.
func scraping(t *testing.T) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var beside sync.WaitGroup
	beside.Go(func() {
		ticker := time.NewTicker(scrapeInterval / time.Duration(len(pages)))
		defer ticker.Stop()
		for i := 0; ; i++ {
			if _, err := scrape(ctx, pages[i%len(pages)], prometheus()); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); beside.Wait() }
}

// scrapes measures how long each page takes, and how large it is.
func scrapes(report *table, ours *podstead) {
	t := ours.t
	t.Helper()
	for _, page := range pages {
		var all sample
		var size int
		for range scrapeRounds {
			time.Sleep(apart)
			from := record.Now()
			text, err := scrape(t.Context(), page, prometheus())
			if err != nil {
				t.Fatal(err)
			}
			all, size = append(all, record.Now().Sub(from)), len(text)
		}
		t.Logf("%s: %v", page, all)
		what := fmt.Sprintf("%d pods: scrape of %s", *flagPods, page)
		report.bound(what, float64(all.median().Microseconds())/1000, "ms", maxScrape)
		report.fact(what+", size", float64(size)/1024, "KiB")
	}
}

const (
	probedContainers = 6
	probedTime       = 30 * time.Second
)

// probed measures what probes cost, two of 1 s for each container, and
// whether they are wrong about containers that are well all the time.
func probed(report *table, ours *podstead) {
	t, h := ours.t, ours.h
	t.Helper()
	if *flagProbe == 0 {
		return
	}
	names := series("probed", 0, *flagProbe)
	ours.place(names, shape{containers: probedContainers, period: 1, liveness: true})
	ours.wait(*flagProbe)
	ours.h.Eventually(patience, func() error { return ours.well(*flagProbe) })
	time.Sleep(settle)
	before, madeBefore, at := take(t, h), attempts(t), record.Now()
	time.Sleep(probedTime)
	after, made, passed := take(t, h), attempts(t), record.Now().Sub(at)
	what := func(text string) string {
		return fmt.Sprintf("%d HTTP probes of 1 s: %s", *flagProbe*probedContainers*2, text)
	}
	report.fact(what("CPU of podstead"), percent(after.podstead.cpu-before.podstead.cpu, passed), "% of a core")
	report.fact(what("resident memory of podstead"), mib(after.podstead.resident), "MiB")
	report.fact(what("answers judged as success"), (made["successful"]-madeBefore["successful"])/passed.Seconds(), "per second")
	report.fact(what("attempts that did not count"), made["unknown"]-madeBefore["unknown"], "in 30 s")
	report.bound(what("misjudgements"), made["failed"]-madeBefore["failed"], "in 30 s", maxMisses)
	if err := ours.well(*flagProbe); err != nil {
		t.Errorf("after probes of containers that are well: %v", err)
	}
	ours.remove(names)
}

// attempts adds up what became of all probes, by result.
func attempts(t *testing.T) map[string]float64 {
	t.Helper()
	text, err := scrape(t.Context(), "/metrics/probes", http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, m := range parse(t, text)["prober_probe_total"].GetMetric() {
		for _, l := range m.Label {
			if l.GetName() == "result" {
				sums[l.GetValue()] += m.GetCounter().GetValue()
			}
		}
	}
	if len(sums) == 0 {
		t.Fatal("/metrics/probes tells of no probe")
	}
	return sums
}

func parse(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// well tells whether so many pods are there, with every container ready that
// was never restarted.
func (p *podstead) well(pods int) error {
	client := api.NewClient(p.h.Socket)
	defer client.Close()
	list, err := client.Pods(p.t.Context(), api.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		o := &list.Items[i]
		for _, c := range o.Status.ContainerStatuses {
			if !c.Ready || c.RestartCount > 0 {
				return fmt.Errorf("%s/%s: ready %v, %d restarts: %+v", o.Name, c.Name, c.Ready, c.RestartCount, c.State)
			}
		}
	}
	if len(list.Items) != pods {
		return fmt.Errorf("%d pods, want %d", len(list.Items), pods)
	}
	return nil
}
