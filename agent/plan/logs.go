package plan

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// OwnLogs tells whose the folders of logs are, by uid, in its order. Others may
// keep logs beside ours: ours are those whose uid is that of an instance which
// there was by the history, the highest number of each "namespace/name", or of
// all pods of a workload ("Deployment namespace/name") whose names are not in it.
func OwnLogs(nodeID string, folders map[types.UID]pod.Key, history map[string]int) []pod.Instance {
	gathered := map[string]int{} // by namespace
	for name, n := range history {
		if _, workload, ok := strings.Cut(name, " "); ok {
			namespace, _, _ := strings.Cut(workload, "/")
			gathered[namespace] = max(gathered[namespace], n)
		}
	}
	var own []pod.Instance
	for _, uid := range slices.Sorted(maps.Keys(folders)) {
		key := folders[uid]
		for number := 1; number <= max(history[key.String()], gathered[key.Namespace]); number++ {
			if i := (pod.Instance{Key: key, Number: number}); pod.UID(nodeID, i) == uid {
				own = append(own, i)
			}
		}
	}
	return own
}
