package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/podstead/podstead/test/harness"
)

const metricsAddress = "127.0.0.1:19255"

// page scrapes a page of a running podstead.
func page(path string) (map[string]*dto.MetricFamily, error) { return scrape(metricsAddress, path) }

func scrape(address, path string) (map[string]*dto.MetricFamily, error) {
	r, err := http.Get("http://" + address + path)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(r.Body, 1024))
		return nil, fmt.Errorf("%s: status %d: %s", path, r.StatusCode, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(r.Body)
}

// valueOf finds the row of a metric that has the labels, as "name=value".
func valueOf(f *dto.MetricFamily, labels ...string) (float64, bool) {
	for _, m := range f.GetMetric() {
		has := map[string]bool{}
		for _, l := range m.Label {
			has[l.GetName()+"="+l.GetValue()] = true
		}
		all := true
		for _, l := range labels {
			all = all && has[l]
		}
		if all {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue(), true
		}
	}
	return 0, false
}

// TestMetrics scrapes a real pod that burns its CPU limit, holds memory, and
// writes to its layer, its log and its volume.
func TestMetrics(t *testing.T) {
	h := harness.New(t, harness.Options{Config: "metrics: {address: \"" + metricsAddress + "\"}\n"})
	addShell(t, h)
	h.Start()
	runs(h, "busy", simple("busy", script("dd if=/dev/zero of=/layer bs=64k count=16", "dd if=/dev/zero of=/cache/file bs=64k count=32", "echo hello", "while :; do :; done"),
		"volumes: [{name: cache, emptyDir: {}}]\n",
		"resources: {limits: {cpu: 100m, memory: 64Mi}}\nvolumeMounts: [{name: cache, mountPath: /cache}]\n"))
	want := []struct {
		page, name string
		atLeast    float64
		labels     []string
	}{
		{"/metrics/cadvisor", "container_cpu_usage_seconds_total", 0.2, []string{"container=app", "cpu=total"}},
		{"/metrics/cadvisor", "container_cpu_user_seconds_total", 0.01, []string{"container=app"}},
		{"/metrics/cadvisor", "container_cpu_cfs_throttled_periods_total", 2, []string{"container=app"}},
		{"/metrics/cadvisor", "container_memory_working_set_bytes", 10_000, []string{"container=app"}},
		{"/metrics/cadvisor", "container_memory_usage_bytes", 10_000, []string{"container=", "image="}},
		{"/metrics/cadvisor", "container_threads", 1, []string{"container=app"}},
		{"/metrics/cadvisor", "container_threads_max", 1, []string{"container="}},
		{"/metrics/cadvisor", "container_processes", 1, []string{"container=app"}},
		{"/metrics/cadvisor", "container_file_descriptors", 3, []string{"container=app"}},
		{"/metrics/cadvisor", "container_fs_usage_bytes", 1 << 20, []string{"container=app"}},
		{"/metrics/cadvisor", "container_spec_memory_limit_bytes", 64 << 20, []string{"container=app"}},
		{"/metrics/cadvisor", "container_spec_cpu_quota", 10_000, []string{"container=app"}},
		{"/metrics", "podstead_container_layer_bytes", 1 << 20, []string{"container=app", "pod=busy"}},
		{"/metrics", "podstead_container_log_bytes", 1, []string{"container=app", "pod=busy"}},
		{"/metrics", "podstead_volume_used_bytes", 2 << 20, []string{"volume=cache", "pod=busy"}},
		{"/metrics", "podstead_ready", 1, nil},
		{"/metrics", "kubelet_started_pods_total", 1, nil},
		{"/metrics/resource", "pod_cpu_usage_seconds_total", 0.2, []string{"pod=busy"}},
		{"/metrics/resource", "node_cpu_usage_seconds_total", 1, nil},
		{"/metrics/resource", "node_memory_working_set_bytes", 1 << 20, nil},
		{"/metrics/state", "kube_pod_info", 1, []string{"pod=busy", "node=testhost"}},
		{"/metrics/state", "kube_pod_status_phase", 1, []string{"pod=busy", "phase=Running"}},
		{"/metrics/state", "kube_pod_container_resource_limits", 64 << 20, []string{"pod=busy", "resource=memory", "unit=byte"}},
	}
	// Disk use is measured a minute after the measurement before.
	h.Eventually(2*time.Minute, func() error {
		pages := map[string]map[string]*dto.MetricFamily{}
		for _, w := range want {
			if pages[w.page] == nil {
				families, err := page(w.page)
				if err != nil {
					return err
				}
				pages[w.page] = families
			}
			if n, ok := valueOf(pages[w.page][w.name], w.labels...); !ok || n < w.atLeast {
				return fmt.Errorf("%s: %s%q is %v (%v), want at least %v", w.page, w.name, w.labels, n, ok, w.atLeast)
			}
		}
		return nil
	})
	if out, err := h.CLI("status"); err != nil || !strings.Contains(out, "served at "+metricsAddress) {
		t.Errorf("status says %s (%v)", out, err)
	}
	h.Remove("busy.yaml")
	h.WaitGone("default/busy", time.Minute)
	families, err := page("/metrics/cadvisor")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := valueOf(families["container_threads"], "pod=busy"); ok {
		t.Error("a pod that is gone is still shown")
	}
}
