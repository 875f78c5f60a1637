package mixin

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	alertsFile    = "../../mixin/alerts.yaml"
	dashboardFile = "../../mixin/dashboard.json"
	docsFile      = "../../docs/metrics.md"
)

// alertCase says with which series an alert fires, and with which it does not.
type alertCase struct {
	fires, quiet []series
	// labels tell which of what fires is meant.
	labels string
}

func one(name, values string) []series { return []series{{name, values}} }

// alertCases are evaluated after 20 minutes.
var alertCases = map[string]alertCase{
	"PodsteadSourceStale":    {one(`podstead_source_age_seconds{source="fleet"}`, "0+60x30"), one(`podstead_source_age_seconds{source="fleet"}`, "20+0x30"), `source="fleet"`},
	"PodsteadSourceDown":     {one(`podstead_source_up{source="fleet"}`, "0+0x30"), one(`podstead_source_up{source="fleet"}`, "1+0x17 0 0 0 1+0x10"), `source="fleet"`},
	"PodsteadMassDeleteHeld": {one(`podstead_source_mass_delete_held{source="fleet"}`, "3+0x30"), one(`podstead_source_mass_delete_held{source="fleet"}`, "0+0x30"), `source="fleet"`},
	"PodsteadManifestInvalid": {one(`podstead_manifests{source="local",state="invalid"}`, "1+0x30"),
		[]series{{`podstead_manifests{source="local",state="invalid"}`, "0+0x30"}, {`podstead_manifests{source="local",state="active"}`, "9+0x30"}}, `source="local"`},
	"PodsteadAgentRestarting": {
		[]series{{`process_start_time_seconds{job="kubelet",instance="a"}`, "0+0x10 1 2 3 3+0x20"}, {`podstead_build_info{job="kubelet",instance="a"}`, "1+0x30"}},
		[]series{{`process_start_time_seconds{job="kubelet",instance="a"}`, "0+0x10 1+0x20"}, {`podstead_build_info{job="kubelet",instance="a"}`, "1+0x30"},
			{`process_start_time_seconds{job="other",instance="a"}`, "0+1x30"}}, `instance="a"`},
	"PodsteadRuntimeDown":    {one(`podstead_runtime_up`, "1+0x16 0+0x10"), one(`podstead_runtime_up`, "1+0x18 0+0x10"), `severity="critical"`},
	"PodsteadStuckPod":       {one(`podstead_stuck_pods`, "1+0x30"), one(`podstead_stuck_pods`, "0+0x30"), `severity="warning"`},
	"PodsteadStateRecovered": {one(`podstead_state_recoveries_total`, "1+0x30"), one(`podstead_state_recoveries_total`, "0+0x30"), `severity="warning"`},
	"PodsteadLogDropping":    {one(`podstead_logger_trouble{namespace="default",pod="web",container="app"}`, "1+0x30"), one(`podstead_logger_trouble{namespace="default",pod="web",container="app"}`, "0+0x30"), `pod="web"`},
	"PodsteadDiskPressure":   {one(`podstead_filesystem_pressure{use="images"}`, "1+0x30"), one(`podstead_filesystem_pressure{use="images"}`, "1+0x10 0+0x6 1+0x10"), `use="images"`},
	"PodsteadRolloutFailed": {one(`podstead_rollout_failed{namespace="shop",workload="web",workload_type="deployment"}`, "0+0x18 1+0x10"),
		one(`podstead_rollout_failed{namespace="shop",workload="web",workload_type="deployment"}`, "1+0x10 0+0x20"), `workload="web"`},
	"PodsteadRolloutHeld": {one(`podstead_rollout_held{namespace="shop",workload="web",workload_type="deployment"}`, "0+0x4 1+0x20"),
		one(`podstead_rollout_held{namespace="shop",workload="web",workload_type="deployment"}`, "0+0x9 1+0x20"), `workload="web"`},
	"PodsteadPodCrashLooping": {one(`kube_pod_container_status_waiting_reason{namespace="default",pod="web",container="app",reason="CrashLoopBackOff"}`, "1 1 _ 1 1 1 _ 1+0x30"),
		one(`kube_pod_container_status_waiting_reason{namespace="default",pod="web",container="app",reason="ContainerCreating"}`, "1+0x30"), `pod="web"`},
	"PodsteadOOMKilled": {
		[]series{{`kube_pod_container_status_last_terminated_reason{namespace="default",pod="web",uid="1",container="app",reason="OOMKilled"}`, "1+0x30"},
			{`kube_pod_container_status_restarts_total{namespace="default",pod="web",uid="1",container="app"}`, "0+0x10 1+0x20"}},
		[]series{{`kube_pod_container_status_last_terminated_reason{namespace="default",pod="web",uid="1",container="app",reason="OOMKilled"}`, "1+0x30"},
			{`kube_pod_container_status_restarts_total{namespace="default",pod="web",uid="1",container="app"}`, "1+0x30"}}, `container="app"`},
	"PodsteadCPUThrottling": {
		[]series{{`container_cpu_cfs_throttled_periods_total{namespace="default",pod="web",container="app"}`, "0+30x30"}, {`container_cpu_cfs_periods_total{namespace="default",pod="web",container="app"}`, "0+100x30"}},
		[]series{{`container_cpu_cfs_throttled_periods_total{namespace="default",pod="web",container="app"}`, "0+20x30"}, {`container_cpu_cfs_periods_total{namespace="default",pod="web",container="app"}`, "0+100x30"}}, `container="app"`},
	"PodsteadKnownVulnerableRuntime": {one(`podstead_runtime_known_vulnerable{component="containerd",cve="CVE-2026-53495"}`, "1+0x30"), one(`podstead_runtime_up`, "1+0x30"), `cve="CVE-2026-53495"`},
	"PodsteadDeadman":                {one(`up`, "1+0x30"), nil, `severity="none"`},
}

// TestAlerts holds that each alert fires when it should and is quiet otherwise,
// and that somebody wrote down what to do about it.
func TestAlerts(t *testing.T) {
	if out, err := promtool(t, "", "check", "rules", alertsFile); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	docs, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rulesOf(t, alertsFile) {
		c, ok := alertCases[r.Alert]
		if !ok {
			t.Errorf("%s has no case", r.Alert)
			continue
		}
		if !strings.Contains(string(docs), "\n#### "+r.Alert+"\n") {
			t.Errorf("%s is not in docs/metrics.md", r.Alert)
		}
		firing := fmt.Sprintf(`count(ALERTS{alertname=%q,alertstate="firing",%s})`, r.Alert, c.labels)
		if out, err := evaluate(t, []string{alertsFile}, c.fires, []expectation{{firing, "20m", []sample{{"{}", 1}}}}); err != nil {
			t.Errorf("%s does not fire: %s", r.Alert, out)
		}
		if c.quiet == nil {
			continue
		}
		if out, err := evaluate(t, []string{alertsFile}, c.quiet, []expectation{{firing, "20m", nil}}); err != nil {
			t.Errorf("%s is not quiet: %s", r.Alert, out)
		}
	}
}

// queriesOf are the queries of the dashboard, by panel.
func queriesOf(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := map[string][]string{}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			queries[p.Title] = append(queries[p.Title], target.Expr)
		}
	}
	return queries
}

// TestDashboard holds that every panel shows something of a recorded scrape.
func TestDashboard(t *testing.T) {
	variables := strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*", "$pod", ".*")
	var expected []expectation
	for _, queries := range queriesOf(t) {
		for _, q := range queries {
			expected = append(expected, giving(variables.Replace(q)))
		}
	}
	if len(expected) < 20 {
		t.Errorf("%d queries, want 20 and more", len(expected))
	}
	if out, err := evaluate(t, nil, input(t), expected); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

var metricName = regexp.MustCompile(`\b(podstead|kube|kubelet|container|prober|node|machine)_[a-z0-9_]+`)

// TestNamesExist holds that alerts and dashboard name no metric that is not
// served.
func TestNamesExist(t *testing.T) {
	served := map[string]bool{}
	for page := range jobs {
		for name := range recorded(t, page) {
			served[name] = true
		}
	}
	var queries []string
	for _, r := range rulesOf(t, alertsFile) {
		queries = append(queries, r.Expr)
	}
	for _, list := range queriesOf(t) {
		queries = append(queries, list...)
	}
	found := 0
	for _, q := range queries {
		for _, name := range metricName.FindAllString(q, -1) {
			found++
			if !served[name] {
				t.Errorf("%s, in %q, is not served", name, q)
			}
		}
	}
	if found < len(queries) {
		t.Errorf("%d names in %d queries", found, len(queries))
	}
}

// TestScrapeConfigurations holds that what people paste is what Prometheus
// takes, and that it names pages that are there.
func TestScrapeConfigurations(t *testing.T) {
	path := regexp.MustCompile(`(?m)^  metrics_path: (.*)$`)
	for _, file := range []string{"../../mixin/scrape/kubernetes-mixin.yaml", "../../mixin/scrape/kube-prometheus.yaml"} {
		if out, err := promtool(t, "", "check", "config", file); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range path.FindAllStringSubmatch(string(text), -1) {
			page := strings.ReplaceAll(strings.TrimPrefix(found[1], "/"), "/", "_") + ".txt"
			if jobs[page] == "" {
				t.Errorf("%s: there is no page %s", file, found[1])
			}
		}
	}
}
