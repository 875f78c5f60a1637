package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/pod"
)

func TestNodeHasTheShapeOfTheAPI(t *testing.T) {
	d := &apitest.Daemon{}
	snap := pod.Snapshot{
		Node: pod.Node{ID: "id", Name: "edge", BootID: "boot", HostIPs: []string{"192.0.2.2", "2001:db8::2"},
			Capacity:    corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")},
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3")}},
		Runtime: pod.RuntimeState{Up: true, Version: "2.3.7", Since: time.Unix(1000, 0)},
	}
	d.Publish(snap)
	c, _ := serve(t, d)
	n, err := c.Node(t.Context(), "edge")
	if err != nil {
		t.Fatal(err)
	}
	info := n.Status.NodeInfo
	got := []string{n.Kind, n.Name, n.Status.Capacity.Cpu().String(), n.Status.Allocatable.Cpu().String(), info.BootID,
		info.KernelVersion, info.OSImage, info.ContainerRuntimeVersion, info.KubeletVersion}
	for _, a := range n.Status.Addresses {
		got = append(got, string(a.Type)+"="+a.Address)
	}
	want := "Node edge 4 3 boot 6.1.0 Debian GNU/Linux 12 containerd://2.3.7 v0.0.0-test InternalIP=192.0.2.2 InternalIP=2001:db8::2 Hostname=edge"
	if text := strings.Join(got, " "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	ready := func(want corev1.ConditionStatus, message string) {
		t.Helper()
		list, err := c.Nodes(t.Context())
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("got %+v, %v, want one node", list, err)
		}
		conditions := list.Items[0].Status.Conditions
		i := slices.IndexFunc(conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
		if i < 0 {
			t.Fatalf("got %+v, want the condition Ready among them", conditions)
		}
		got := conditions[i]
		if got.Status != want || got.Message != message || !got.LastTransitionTime.Time.Equal(time.Unix(1000, 0)) {
			t.Errorf("got %+v, want %s: %s", got, want, message)
		}
	}
	ready(corev1.ConditionTrue, "podstead runs and containerd answers")
	snap.Draining = pod.Draining{Reason: "the server shuts down", Since: time.Unix(1000, 0)}
	d.Publish(snap)
	ready(corev1.ConditionFalse, "the server shuts down")
	snap.Draining = pod.Draining{}
	snap.Runtime = pod.RuntimeState{Address: "/run/c.sock", Error: "refused", Since: time.Unix(1000, 0)}
	d.Publish(snap)
	ready(corev1.ConditionFalse, "containerd at /run/c.sock does not answer: refused")
	if _, err := c.Node(t.Context(), "other"); !apierrors.IsNotFound(err) {
		t.Errorf("another node: got %v", err)
	}
}

func TestNodeMetricsAreRates(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(pod.Snapshot{Node: pod.Node{Name: "edge"}})
	c, _ := serve(t, d)
	list, err := c.NodeMetrics(t.Context())
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "edge" {
		t.Fatalf("got %+v, %v, want that of edge", list, err)
	}
	m := list.Items[0]
	cpu, memory := m.Usage.Cpu().AsApproximateFloat64(), m.Usage.Memory().Value()
	want := 0.1 / m.Window.Seconds()
	if m.Window.Duration < time.Second || cpu < want*0.99 || cpu > want*1.01 || memory != 2<<30 {
		t.Errorf("got %v cores over %v and %d bytes, want %v and %d", cpu, m.Window, memory, want, 2<<30)
	}
}

func TestDetailsBringTheResultsOfProbes(t *testing.T) {
	report := pod.ProbeReport{ProbeID: pod.ProbeID{Container: "id-web", Kind: pod.ProbeReadiness}, Outcome: pod.ProbeFailure, Failed: 3, Streak: 3, Since: pod.Stamp{Wall: time.Unix(1700000000, 0)},
		Recent: []pod.ProbeAttempt{{Result: pod.ProbeFailure, Message: "refused"}}}
	d := &apitest.Daemon{Probed: map[string][]pod.ProbeReport{"id-web": {report}}}
	d.Publish(pod.Snapshot{Pods: []pod.View{view("default", "web")}})
	probes := func(change ...func(*api.Config)) []api.Probe {
		c, _ := serve(t, d, change...)
		list, err := c.Details(t.Context(), api.ListOptions{}, "web")
		if err != nil {
			t.Fatal(err)
		}
		return list.Items[0].Containers[0].Probes
	}
	got := probes()
	if len(got) != 1 || got[0].Kind != pod.ProbeReadiness || got[0].Outcome != pod.ProbeFailure || got[0].Streak != 3 || !got[0].Since.Equal(time.Unix(1700000000, 0)) ||
		got[0].Failed != 3 || len(got[0].Recent) != 1 || got[0].Recent[0].Message != "refused" {
		t.Errorf("got %+v", got)
	}
	if got := probes(func(c *api.Config) { c.Probes = nil }); len(got) != 0 {
		t.Errorf("where nothing is probed: got %+v", got)
	}
}
