package plan

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// OwnLogs tells whose the folders of logs are, by uid, in its order. Others may
// keep logs beside ours: ours are those whose uid is that of an instance which
// there was by the history, the highest number of each "namespace/name".
func OwnLogs(nodeID string, folders map[types.UID]pod.Key, history map[string]int) []pod.Instance {
	var own []pod.Instance
	for _, uid := range slices.Sorted(maps.Keys(folders)) {
		key := folders[uid]
		for number := 1; number <= history[key.String()]; number++ {
			if i := (pod.Instance{Key: key, Number: number}); pod.UID(nodeID, i) == uid {
				own = append(own, i)
			}
		}
	}
	return own
}
