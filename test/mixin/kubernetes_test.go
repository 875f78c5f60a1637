package mixin

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const kubernetes = "testdata/kubernetes-mixin/"

// rule is one rule of a file.
type rule struct {
	Record string            `yaml:"record"`
	Alert  string            `yaml:"alert"`
	Expr   string            `yaml:"expr"`
	Labels map[string]string `yaml:"labels"`
}

func rulesOf(t *testing.T, file string) []rule {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var content struct {
		Groups []struct{ Rules []rule } `yaml:"groups"`
	}
	if err := yaml.Unmarshal(text, &content); err != nil {
		t.Fatal(err)
	}
	var list []rule
	for _, g := range content.Groups {
		list = append(list, g.Rules...)
	}
	return list
}

// inapplicable says why a rule can give nothing on a server of podstead's.
func inapplicable(r rule) string {
	for _, of := range []struct{ text, why string }{
		{"node_cpu_seconds_total", "it is about node_exporter's metrics"},
		{"node_memory_", "it is about node_exporter's metrics"},
		{"node:node_cpu_utilization", "it is about node_exporter's metrics"},
		{`owner_kind="ReplicaSet"`, "there are no ReplicaSets"},
		{`owner_kind="DaemonSet"`, "there are no DaemonSets"},
		{`owner_kind="StatefulSet"`, "there are no StatefulSets"},
		{`owner_kind="Job"`, "there are no Jobs"},
		{`owner_kind="", owner_name=""`, "every pod has an owner, its node"},
	} {
		if strings.Contains(r.Expr, of.text) {
			return of.why
		}
	}
	return ""
}

// TestKubernetesRules holds that every recording rule of kubernetes-mixin that
// is about pods and nodes gives a series.
func TestKubernetesRules(t *testing.T) {
	file := kubernetes + "rules.yaml"
	var expected []expectation
	for _, r := range rulesOf(t, file) {
		if why := inapplicable(r); why != "" {
			t.Logf("%s %v is left out: %s", r.Record, r.Labels, why)
			continue
		}
		selector := `{__name__="` + r.Record + `"`
		for name, value := range r.Labels {
			selector += "," + name + `="` + value + `"`
		}
		expected = append(expected, giving(selector+"}"))
	}
	if len(expected) < 19 {
		t.Errorf("%d rules are tested, want 19", len(expected))
	}
	if out, err := evaluate(t, []string{file}, input(t), expected); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// quotas are queries about Kubernetes' ResourceQuota, which podstead has not:
// the dashboards show no line then.
var quotas = []string{"cpuQuotaRequests", "cpuQuotaLimits", "memoryQuotaRequests", "memoryQuotaLimits"}

// TestKubernetesDashboards holds that every query of the dashboards of pods,
// namespaces and nodes gives a series.
func TestKubernetesDashboards(t *testing.T) {
	text, err := os.ReadFile(kubernetes + "queries.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboards map[string]map[string]string
	if err := json.Unmarshal(text, &dashboards); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$interval", "5m", "$cluster", "", "$namespace", "default", "$pod", "web", "$node", "edge")
	var expected []expectation
	for _, queries := range dashboards {
		for name, q := range queries {
			if !slices.Contains(quotas, name) {
				expected = append(expected, giving(variables.Replace(q)))
			}
		}
	}
	if len(expected) < 100 {
		t.Errorf("%d queries are tested, want 100 and more", len(expected))
	}
	if out, err := evaluate(t, []string{kubernetes + "rules.yaml"}, input(t), expected); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
