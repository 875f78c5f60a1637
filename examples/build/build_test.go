package build

import (
	"testing"

	"sigs.k8s.io/yaml"
)

// The head of Prometheus' configuration and the jobs of mixin/ make one
// document, with the alerts at the path that it names.
func TestPrometheusFilesFitTogether(t *testing.T) {

	files, err := prometheusFiles("../..")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		RuleFiles     []string `json:"rule_files"`
		ScrapeConfigs []struct {
			Job string `json:"job_name"`
		} `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal(files["/etc/prometheus/prometheus.yml"].Content, &config); err != nil {
		t.Fatal(err)
	}
	if len(config.ScrapeConfigs) != 4 {
		t.Errorf("the jobs are %v, want those of the four pages", config.ScrapeConfigs)
	}
	for _, path := range config.RuleFiles {
		if len(files[path].Content) == 0 {
			t.Errorf("rules are read from %s, which the image has not", path)
		}
	}
	if len(config.RuleFiles) == 0 {
		t.Error("no rules are read")
	}
}
