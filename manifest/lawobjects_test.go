package manifest

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/podstead/podstead/pod"
)

// drawWorkload draws a workload around the spec of a drawn pod.
func drawWorkload(t *rapid.T, kind pod.Kind) map[string]any {
	word := aWord()
	from := drawPod(t)
	labels := rapid.MapOfN(word, word, 1, 3).Draw(t, "labels")
	selector := map[string]any{}
	for key, value := range labels {
		if len(selector) == 0 || rapid.Bool().Draw(t, "selected") {
			selector[key] = value
		}
	}
	spec := map[string]any{
		"selector": map[string]any{"matchLabels": selector},
		"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": from["spec"]},
	}
	minReady := rapid.IntRange(0, 100).Draw(t, "minReadySeconds")
	spec["minReadySeconds"] = minReady
	if kind != pod.KindDaemonSet {
		spec["replicas"] = rapid.IntRange(0, 5).Draw(t, "replicas")
	}
	share := rapid.SampledFrom([]any{1, 2, "10%", "100%"})
	if kind == pod.KindDeployment {
		spec["progressDeadlineSeconds"] = minReady + rapid.IntRange(1, 100).Draw(t, "progressDeadlineSeconds")
		spec["paused"] = rapid.Bool().Draw(t, "paused")
		spec["strategy"] = rapid.SampledFrom([]map[string]any{
			{"type": "Recreate"}, {"rollingUpdate": map[string]any{"maxSurge": share.Draw(t, "maxSurge")}},
			{"rollingUpdate": map[string]any{"maxUnavailable": share.Draw(t, "maxUnavailable"), "maxSurge": 0}},
		}).Draw(t, "strategy")
	}
	if kind == pod.KindDaemonSet {
		spec["updateStrategy"] = map[string]any{"rollingUpdate": map[string]any{"maxSurge": share.Draw(t, "maxSurge"), "maxUnavailable": 0}}
	}
	return map[string]any{
		"apiVersion": "apps/v1", "kind": string(kind), "metadata": map[string]any{"name": word.Draw(t, "name")}, "spec": spec,
	}
}

func drawService(t *rapid.T) map[string]any {
	word := aWord()
	spec := map[string]any{
		"selector": rapid.MapOfN(word, word, 0, 3).Draw(t, "selector"),
		"type":     rapid.SampledFrom([]string{"ClusterIP", "NodePort", "LoadBalancer"}).Draw(t, "type"),
	}
	ports := []any{}
	for i := range rapid.IntRange(1, 4).Draw(t, "ports") {
		p := map[string]any{"name": fmt.Sprintf("p%d", i), "port": 80 + i, "protocol": rapid.SampledFrom([]string{"TCP", "UDP"}).Draw(t, "protocol")}
		if target := rapid.SampledFrom([]any{nil, 8080, "http"}).Draw(t, "targetPort"); target != nil {
			p["targetPort"] = target
		}
		if spec["type"] != "ClusterIP" && rapid.Bool().Draw(t, "nodePort") {
			p["nodePort"] = 30000 + i
		}
		ports = append(ports, p)
	}
	spec["ports"] = ports
	if seconds := rapid.SampledFrom([]int{0, 1, 60}).Draw(t, "affinity"); seconds > 0 {
		spec["sessionAffinity"] = "ClientIP"
		spec["sessionAffinityConfig"] = map[string]any{"clientIP": map[string]any{"timeoutSeconds": seconds}}
	}
	switch rapid.IntRange(0, 4).Draw(t, "addresses") {
	case 0:
		spec["clusterIP"] = "10.96.0.1"
	case 1:
		spec["clusterIPs"] = []any{"fd00::1", "10.96.0.1"}
	case 2:
		spec["ipFamilies"] = []any{"IPv6"}
	case 3:
		spec["ipFamilyPolicy"] = "PreferDualStack"
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": word.Draw(t, "name")}, "spec": spec,
	}
}

func drawEndpointSlice(t *rapid.T) map[string]any {
	word := aWord()
	endpoints := []any{}
	for i := range rapid.IntRange(1, 4).Draw(t, "endpoints") {
		endpoints = append(endpoints, map[string]any{
			"addresses":  []any{fmt.Sprintf("192.0.2.%d", i+1)},
			"conditions": map[string]any{"ready": rapid.Bool().Draw(t, "ready")},
			"hostname":   word.Draw(t, "hostname"),
		})
	}
	return map[string]any{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
		"metadata": map[string]any{
			"name": word.Draw(t, "name"), "labels": map[string]any{"kubernetes.io/service-name": word.Draw(t, "service")},
		},
		"addressType": "IPv4", "endpoints": endpoints,
		"ports": []any{map[string]any{"name": word.Draw(t, "port"), "port": rapid.IntRange(1, 65535).Draw(t, "number")}},
	}
}

// structures returns the mappings of a tree whose keys are fields of the API:
// all but those that people choose the keys of.
func structures(v any) []map[string]any {
	free := map[string]bool{"labels": true, "annotations": true, "matchLabels": true, "limits": true}
	var all []map[string]any
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			all = append(all, structures(item)...)
		}
	case map[string]any:
		if len(v) > 0 {
			all = append(all, v)
		}
		for _, key := range sortedKeys(v) {
			if !free[key] {
				all = append(all, structures(v[key])...)
			}
		}
	}
	return all
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
