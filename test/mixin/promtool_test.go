// Package mixin evaluates rules, alerts and dashboards on a recorded scrape
// with Prometheus' own promtool: kubernetes-mixin's, which must work with
// podstead as they are, and those that podstead ships.
package mixin

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/podstead/podstead/test/images"
)

const scrapes = "../../metrics/testdata"

// jobs are the pages of a scrape and the jobs that stock configurations give
// them.
var jobs = map[string]string{
	"metrics.txt": "kubelet", "metrics_cadvisor.txt": "cadvisor", "metrics_state.txt": "kube-state-metrics",
	"metrics_probes.txt": "kubelet-probes", "metrics_resource.txt": "kubelet-resource",
}

// program is promtool of Debian's package, looked for once.
var program = sync.OnceValues(func() (string, error) {
	return images.DebianProgram(context.Background(), "prometheus", "/usr/bin/promtool")
})

// promtool runs it.
func promtool(t *testing.T, stdin string, args ...string) (output string, err error) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// recorded parses a recorded page.
func recorded(t *testing.T, page string) map[string]*dto.MetricFamily {
	t.Helper()
	f, err := os.Open(filepath.Join(scrapes, page))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	return families
}

// series is an input of promtool's tests.
type series struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

// input turns the recorded pages into series of half an hour: gauges stay as
// they are, counters grow by as much each minute.
func input(t *testing.T) []series {
	t.Helper()
	var list []series
	for page, job := range jobs {
		for name, f := range recorded(t, page) {
			for _, m := range f.Metric {
				list = append(list, rowsOf(name, f.GetType(), m, job)...)
			}
		}
	}
	return list
}

func rowsOf(name string, kind dto.MetricType, m *dto.Metric, job string) []series {
	labels := []string{`job="` + job + `"`, `instance="edge:9255"`}
	for _, l := range m.Label {
		labels = append(labels, l.GetName()+"="+strconv.Quote(l.GetValue()))
	}
	of := func(name, values string, extra ...string) series {
		return series{name + "{" + strings.Join(append(extra, labels...), ",") + "}", values}
	}
	switch kind {
	case dto.MetricType_GAUGE:
		return []series{of(name, steady(m.GetGauge().GetValue()))}
	case dto.MetricType_COUNTER:
		return []series{of(name, growing(m.GetCounter().GetValue()))}
	default:
		h := m.GetHistogram()
		list := []series{of(name+"_sum", growing(h.GetSampleSum())), of(name+"_count", growing(float64(h.GetSampleCount())))}
		for _, b := range h.Bucket {
			list = append(list, of(name+"_bucket", growing(float64(b.GetCumulativeCount())), `le="`+strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)+`"`))
		}
		return list
	}
}

func steady(v float64) string { return number(v) + "+0x30" }

func growing(v float64) string { return "0+" + number(v) + "x30" }

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// expectation is a query at a time and what it must give.
type expectation struct {
	Expr       string   `json:"expr"`
	EvalTime   string   `json:"eval_time"`
	ExpSamples []sample `json:"exp_samples"`
}

type sample struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}

// giving expects a query to give at least one series.
func giving(query string) expectation {
	return expectation{Expr: "count(" + query + ") > bool 0", EvalTime: "20m", ExpSamples: []sample{{"{}", 1}}}
}

// evaluate runs rules on a recorded scrape and returns what promtool says.
func evaluate(t *testing.T, rules []string, in []series, expected []expectation) (string, error) {
	t.Helper()
	absolute := make([]string, len(rules))
	for i, r := range rules {
		path, err := filepath.Abs(r)
		if err != nil {
			t.Fatal(err)
		}
		absolute[i] = path
	}
	text, err := json.Marshal(map[string]any{
		"rule_files": absolute, "evaluation_interval": "1m",
		"tests": []any{map[string]any{"interval": "1m", "input_series": in, "promql_expr_test": expected}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "test.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return promtool(t, "", "test", "rules", file)
}
