package printer

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Amount writes a quantity as manifests do, memory of no round number in Mi.
func Amount(q resource.Quantity, name corev1.ResourceName) string {
	if name == corev1.ResourceMemory && q.Value()%(1<<20) != 0 && q.Value() >= 1<<20 {
		return fmt.Sprintf("%dMi", q.Value()>>20)
	}
	return q.String()
}

// Bytes writes a size with the unit that leaves two digits or more.
func Bytes(n int64) string {
	for _, unit := range []struct {
		shift uint
		name  string
	}{{40, "Ti"}, {30, "Gi"}, {20, "Mi"}} {
		if n>>unit.shift >= 10 {
			return fmt.Sprintf("%d%s", n>>unit.shift, unit.name)
		}
	}
	return fmt.Sprintf("%dKi", n>>10)
}
