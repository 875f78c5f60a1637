package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/podstead/podstead/test/harness"
)

// scraped is where podstead serves its metrics so that a pod reaches them.
const scraped = host4 + ":19256"

const prometheusPod = `apiVersion: v1
kind: Pod
metadata:
  name: graphs
spec:
  securityContext: {runAsUser: 33, runAsGroup: 33}
  containers:
  - name: prometheus
    image: registry.example.org/library/prometheus:2.42
    args: [--config.file, /etc/prometheus/prometheus.yml, --storage.tsdb.path, /data, --web.listen-address, ":9090"]
    ports:
    - {name: web, containerPort: 9090, hostPort: 19090}
    readinessProbe: {httpGet: {path: /-/ready, port: web}, periodSeconds: 1, failureThreshold: 30}
    volumeMounts:
    - {name: conf, mountPath: /etc/prometheus, readOnly: true}
    - {name: data, mountPath: /data}
  volumes:
  - name: conf
    hostPath: {path: %s, type: Directory}
  - name: data
    emptyDir: {}
`

// runsPrometheus has a Prometheus of Debian in a pod, which scrapes podstead
// every second as our documentation says.
func runsPrometheus(t *testing.T, h *harness.Host) place {
	t.Helper()
	text, err := os.ReadFile("../../mixin/scrape/kubernetes-mixin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	conf := "global: {scrape_interval: 1s}\n" + strings.ReplaceAll(string(text), "127.0.0.1:9255", scraped)
	if !strings.Contains(conf, scraped) {
		t.Fatal("the scrape configuration has no target to replace")
	}
	dir := folder(t, h, "prometheus")
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return placed(t, h, "graphs", fmt.Sprintf(prometheusPod, dir))
}

// prometheusSees asks it by its port of the host for what podstead told.
func prometheusSees(t *testing.T, h *harness.Host, graphs place) {
	for _, tc := range []struct {
		query    string
		from, to float64
	}{
		{`container_memory_working_set_bytes{namespace="default",pod="web",container="nginx"}`, 100 << 10, 64 << 20},
		{`container_memory_working_set_bytes{namespace="default",pod="redis",container="redis"}`, 100 << 10, 64 << 20},
		{`count(up == 1)`, 4, 4},
		{`kube_pod_status_ready{namespace="default",pod="web",condition="true"}`, 1, 1},
		{`kube_pod_status_ready{namespace="default",pod="redis",condition="true"}`, 1, 1},
		{`kube_pod_container_status_restarts_total{pod="redis",container="redis"}`, 2, 2},
		{`prober_probe_total{pod="web",container="nginx",probe_type="Readiness",result="successful"}`, 1, 1e6},
		{`prober_probe_total{pod="redis",container="redis",probe_type="Readiness",result="successful"}`, 1, 1e6},
		{`container_network_receive_bytes_total{pod="graphs",interface="eth0"}`, 1 << 10, 1e9},
	} {
		h.Eventually(waitKernel, func() error {
			got, err := query(clientAt(theHost), at("127.0.0.1", 19090), tc.query)
			if err == nil && (got < tc.from || got > tc.to) {
				err = fmt.Errorf("it is %v, want %v to %v", got, tc.from, tc.to)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", tc.query, err)
			}
			return nil
		})
	}
	if _, err := query(clientAt(graphs.netns), at(graphs.v4, 9090), "up"); err == nil || !strings.Contains(err.Error(), "4 series") {
		t.Errorf("it answers by its own address %v, want four series", err)
	}
}

// query asks a Prometheus for the only value of an expression.
func query(client *http.Client, address, expression string) (float64, error) {
	resp, err := client.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Error != "" || len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("%d series, %s, want one", len(answer.Data.Result), answer.Error)
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	return strconv.ParseFloat(text, 64)
}
