package printer

import "fmt"

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
