package validation_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// list builds a resource list from pairs of name and quantity.
func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func TestResources(t *testing.T) {
	requests := func(pairs ...string) change {
		return container(func(k *corev1.Container) { k.Resources.Requests = list(pairs...) })
	}
	limits := func(pairs ...string) change {
		return container(func(k *corev1.Container) { k.Resources.Limits = list(pairs...) })
	}
	both := func(name, request, limit string) change {
		return container(func(k *corev1.Container) {
			k.Resources.Requests, k.Resources.Limits = list(name, request), list(name, limit)
		})
	}
	const lim, req = "spec.containers[0].resources.limits", "spec.containers[0].resources.requests"
	const cores = "[cpu]: invalid-quantity: is more cores than a server can have: m means thousandths, M means millions (got "
	const fraction = "[memory]: invalid-quantity: is a fraction of a byte: m means thousandths, M and Mi mean millions (got "
	const tiny = "[memory]: invalid-quantity: is too small for a container to start: a number without a unit is bytes (got "
	const enough = ", want at least 4Mi, or the limit left out for no limit)"
	const noDevice = ": unsupported-field: is no resource of this server: podstead has no device plug-ins and no huge pages (got 1, want cpu or memory)"
	checkRules(t, []rule{
		{"negative cpu", requests("cpu", "-1"), []string{req + "[cpu]: invalid-quantity: is negative (got -1, want 0 or more)"}, requests("cpu", "0")},
		{"negative memory", limits("memory", "-5Mi"), []string{lim + "[memory]: invalid-quantity: is negative (got -5Mi, want 0 or more)"}, limits("memory", "5Mi")},
		{"cpu 1e30", limits("cpu", "1e30"), []string{lim + cores + "1e30, want at most 8192, such as 100m for a tenth of a core)"}, limits("cpu", "8192")},
		{"cpu 100M", limits("cpu", "100M"), []string{lim + cores + "100M, want at most 8192, such as 100m for a tenth of a core)"}, limits("cpu", "100m")},
		{"cpu zero limit", limits("cpu", "0"), []string{lim + "[cpu]: invalid-quantity: is zero (got 0, want more than 0, or the limit left out for no limit)"}, limits("cpu", "1m")},
		{"memory 1e30", requests("memory", "1e30"), []string{req + "[memory]: invalid-quantity: is more than a server can have (got 1e30, want at most 4Pi)"}, requests("memory", "4Pi")},
		{"memory 1m", limits("memory", "1m"), []string{lim + fraction + "1m, want whole bytes, such as 64Mi)"}, limits("memory", "64Mi")},
		{"memory of half a byte", requests("memory", "1000.5"), []string{req + fraction + "1000500m, want whole bytes, such as 64Mi)"}, requests("memory", "64Mi")},
		{"memory 1", limits("memory", "1"), []string{lim + tiny + "1" + enough}, requests("memory", "1")},
		{"memory 0", limits("memory", "0"), []string{lim + tiny + "0" + enough}, requests("memory", "0")},
		{"memory below 4Mi", limits("memory", "4095Ki"), []string{lim + tiny + "4095Ki" + enough}, limits("memory", "4Mi")},
		{"request above limit", both("memory", "65Mi", "64Mi"), []string{req + "[memory]: invalid: is more than its limit (got 65Mi, want at most 64Mi)"}, both("memory", "64Mi", "64Mi")},
		{"cpu request above limit", both("cpu", "1001m", "1"), []string{req + "[cpu]: invalid: is more than its limit (got 1001m, want at most 1)"}, both("cpu", "1000m", "1")},
		{"gpu", limits("gpu", "1"), []string{lim + "[gpu]" + noDevice}, limits("cpu", "1")},
		{"several devices in order", limits("nvidia.com/gpu", "1", "hugepages-2Mi", "1"),
			[]string{lim + "[hugepages-2Mi]" + noDevice, lim + "[nvidia.com/gpu]" + noDevice}, limits("cpu", "1", "memory", "1Gi")},
		{"disk", limits("ephemeral-storage", "1Gi"),
			[]string{lim + "[ephemeral-storage]: unsupported-field: can't be enforced: podstead does not limit the disk that containers use; emptyDir has sizeLimit (got 1Gi, want cpu or memory)"}, unchanged},
	})
}
