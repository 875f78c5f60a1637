package cgroups

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"
)

// container makes a container from "cpu=100m memory=64Mi" style lists.
func container(name string, requests, limits corev1.ResourceList) corev1.Container {
	return corev1.Container{Name: name, Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
}

func list(cpu, memory string) corev1.ResourceList {
	l := corev1.ResourceList{}
	if cpu != "" {
		l[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if memory != "" {
		l[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	return l
}

func sidecar(c corev1.Container) corev1.Container {
	always := corev1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	return c
}

func podOf(inits []corev1.Container, containers ...corev1.Container) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{InitContainers: inits, Containers: containers}}
}

func TestShares(t *testing.T) {
	for milli, want := range map[int64]uint64{
		0: 2, 1: 2, 2: 2, 100: 102, 250: 256, 1000: 1024, 2500: 2560, 256000: 262144, 1 << 50: 262144,
	} {
		if got := shares(milli); got != want {
			t.Errorf("shares(%d) = %d, want %d", milli, got, want)
		}
	}
}

func TestWeight(t *testing.T) {
	for s, want := range map[uint64]uint64{2: 1, 10: 4, 102: 17, 256: 35, 512: 59, 1024: 100, 2048: 174, 262144: 10000} {
		if got := weight(s); got != want {
			t.Errorf("weight(%d) = %d, want %d", s, got, want)
		}
	}
	for w := uint64(1); w <= 10000; w++ {
		s := sharesOf(w)
		if weight(s) < w || s > minShares && weight(s-1) >= w {
			t.Fatalf("sharesOf(%d) = %d is not the smallest of at least that weight", w, s)
		}
	}
}

func TestQuota(t *testing.T) {
	for milli, want := range map[int64]int64{0: none, 1: 1000, 9: 1000, 10: 1000, 11: 1100, 500: 50000, 2000: 200000} {
		if got := quota(milli); got != want {
			t.Errorf("quota(%d) = %d, want %d", milli, got, want)
		}
	}
}

func TestPodSettings(t *testing.T) {
	const Mi = 1 << 20
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		want settings
	}{
		{"best effort", podOf(nil, container("a", nil, nil)), settings{2, none, none, 1024}},
		{"requests only", podOf(nil, container("a", list("500m", "64Mi"), nil)), settings{512, none, none, 1024}},
		{"requests default to limits", podOf(nil, container("a", nil, list("500m", "64Mi"))), settings{512, 50000, 64 * Mi, 1024}},
		{"sum of all", podOf(nil, container("a", nil, list("500m", "64Mi")), container("b", list("250m", ""), list("1", "16Mi"))),
			settings{768, 150000, 80 * Mi, 1024}},
		{"limited only in what all are limited in", podOf(nil, container("a", nil, list("500m", "64Mi")), container("b", nil, list("", "16Mi"))),
			settings{512, none, 80 * Mi, 1024}},
		{"an unlimited init container lifts the limit", podOf([]corev1.Container{container("i", nil, nil)}, container("a", nil, list("1", "64Mi"))),
			settings{1024, none, none, 1024}},
		{"the largest init container counts alone", podOf([]corev1.Container{container("i", nil, list("2", "256Mi")), container("j", nil, list("1", "8Mi"))},
			container("a", nil, list("1", "64Mi"))), settings{2048, 200000, 256 * Mi, 1024}},
		{"sidecars count with what comes later", podOf([]corev1.Container{
			container("before", nil, list("2", "100Mi")),
			sidecar(container("s", nil, list("1", "50Mi"))),
			container("after", nil, list("1500m", "100Mi")),
		}, container("a", nil, list("100m", "20Mi"))), settings{2560, 250000, 150 * Mi, 1024}},
		{"sidecars count with the containers", podOf([]corev1.Container{sidecar(container("s", nil, list("1", "50Mi")))},
			container("a", nil, list("1", "50Mi"))), settings{2048, 200000, 100 * Mi, 1024}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, podSettings(tc.pod, 1024), cmp.AllowUnexported(settings{})); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

// drawPod makes any pod: containers, init containers and sidecars with and
// without requests and limits.
func drawPod(t *rapid.T) *corev1.Pod {
	draw := func(label string) corev1.Container {
		c := container(label, corev1.ResourceList{}, corev1.ResourceList{})
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			limit := rapid.Int64Range(0, 4000).Draw(t, label+" limit")
			if limit > 0 {
				c.Resources.Limits[name] = scaled(name, limit)
			}
			if rapid.Bool().Draw(t, label+" has request") {
				request := rapid.Int64Range(0, 4000).Draw(t, label+" request")
				if limit > 0 {
					request = min(request, limit)
				}
				c.Resources.Requests[name] = scaled(name, request)
			}
		}
		return c
	}
	p := &corev1.Pod{}
	for i := range rapid.IntRange(0, 3).Draw(t, "inits") {
		c := draw(fmt.Sprintf("i%d", i))
		if rapid.Bool().Draw(t, "is sidecar") {
			c = sidecar(c)
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "containers") {
		p.Spec.Containers = append(p.Spec.Containers, draw(fmt.Sprintf("c%d", i)))
	}
	return p
}

// scaled makes n thousandths of a core or n pages of memory.
func scaled(name corev1.ResourceName, n int64) resource.Quantity {
	if name == corev1.ResourceCPU {
		return *resource.NewMilliQuantity(n, resource.DecimalSI)
	}
	return *resource.NewQuantity(n<<16, resource.BinarySI)
}

func TestPodIsAtLeastAsLargeAsWhatRunsInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPod(t)
		whole := podSettings(p, 0)
		var together int64
		covers := func(c *corev1.Container) {
			s := containerSettings(c)
			if whole.shares < s.shares || larger(whole.quota, s.quota) != whole.quota || larger(whole.memory, s.memory) != whole.memory {
				t.Fatalf("pod %+v is smaller than container %s: %+v", whole, c.Name, s)
			}
		}
		every(p, covers)
		for i := range p.Spec.Containers {
			together += max(0, containerSettings(&p.Spec.Containers[i]).memory)
		}
		if whole.memory != none && whole.memory < together {
			t.Fatalf("pod memory %d is less than %d of its containers together", whole.memory, together)
		}
	})
}
