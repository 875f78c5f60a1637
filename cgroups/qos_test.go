package cgroups

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

func TestQOS(t *testing.T) {
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		want corev1.PodQOSClass
	}{
		{"nothing", podOf(nil, container("a", nil, nil)), corev1.PodQOSBestEffort},
		{"zero requests", podOf(nil, container("a", list("0", "0"), nil)), corev1.PodQOSBestEffort},
		{"equal", podOf(nil, container("a", list("1", "1Gi"), list("1000m", "1024Mi"))), corev1.PodQOSGuaranteed},
		{"limits only", podOf(nil, container("a", nil, list("1", "1Gi"))), corev1.PodQOSGuaranteed},
		{"no memory", podOf(nil, container("a", nil, list("1", ""))), corev1.PodQOSBurstable},
		{"request below limit", podOf(nil, container("a", list("500m", ""), list("1", "1Gi"))), corev1.PodQOSBurstable},
		{"zero request with limit", podOf(nil, container("a", list("0", ""), list("1", "1Gi"))), corev1.PodQOSBurstable},
		{"one without", podOf(nil, container("a", nil, list("1", "1Gi")), container("b", nil, nil)), corev1.PodQOSBurstable},
		{"init container without", podOf([]corev1.Container{container("i", nil, nil)}, container("a", nil, list("1", "1Gi"))), corev1.PodQOSBurstable},
		{"only the init container asks", podOf([]corev1.Container{container("i", list("1", ""), nil)}, container("a", nil, nil)), corev1.PodQOSBurstable},
	} {
		if got := pod.QOSClass(tc.pod); got != tc.want {
			t.Errorf("%s: QOSClass = %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestOOMScoreAdj(t *testing.T) {
	const node = 4 << 30
	critical := podOf(nil, container("a", nil, nil))
	critical.Spec.PriorityClassName = "system-node-critical"
	helped := podOf([]corev1.Container{sidecar(container("s", list("", "4Mi"), nil))},
		container("a", list("", "2Gi"), nil), container("b", list("", "1Gi"), nil))
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		c    string
		want int
	}{
		{"best effort", podOf(nil, container("a", nil, nil)), "a", 1000},
		{"guaranteed", podOf(nil, container("a", nil, list("1", "1Gi"))), "a", -997},
		{"critical", critical, "a", -997},
		{"half of the node", podOf(nil, container("a", list("", "2Gi"), nil)), "a", 500},
		{"all of the node", podOf(nil, container("a", list("", "4Gi"), nil)), "a", 3},
		{"more than the node", podOf(nil, container("a", list("", "64Gi"), nil)), "a", 3},
		{"next to nothing", podOf(nil, container("a", list("", "4Ki"), nil)), "a", 999},
		{"no memory request in a burstable pod", podOf(nil, container("a", list("1", ""), nil)), "a", 999},
		{"pause", podOf(nil, container("a", nil, nil)), "", -998},
		{"sidecar is as safe as the smallest container", helped, "s", 750},
		{"its container", helped, "b", 750},
		{"its other container", helped, "a", 500},
	} {
		var c *corev1.Container
		every(tc.pod, func(x *corev1.Container) {
			if x.Name == tc.c {
				c = x
			}
		})
		if got := OOMScoreAdj(tc.pod, c, node); got != tc.want {
			t.Errorf("%s: OOMScoreAdj = %d, want %d", tc.name, got, tc.want)
		}
	}
}
