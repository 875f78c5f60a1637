package plan_test

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// TestOwnLogs: those of pods of revisions that are gone are ours as well, of
// which the history has one number for all; those of others never are.
func TestOwnLogs(t *testing.T) {
	folders := map[types.UID]pod.Key{"others": {Namespace: "default", Name: "web-abc-2"}}
	of := func(namespace, name string, number int) {
		i := pod.Instance{Key: pod.Key{Namespace: namespace, Name: name}, Number: number}
		folders[pod.UID("node", i)] = i.Key
	}
	of("default", "alone", 2)
	of("default", "web-abc-1", 3)
	of("default", "web-abc-1", 4) // there was none by the history
	of("shop", "web-abc-1", 1)    // nor one there
	owner := pod.ObjectKey{Kind: pod.KindDeployment, Key: pod.Key{Namespace: "default", Name: "web"}}
	own := plan.OwnLogs("node", folders, map[string]int{"default/alone": 2, owner.String(): 3})
	got := map[string]bool{}
	for _, i := range own {
		got[fmt.Sprint(i.Key, " ", i.Number)] = true
	}
	if len(own) != 2 || !got["default/alone 2"] || !got["default/web-abc-1 3"] {
		t.Errorf("ours are %v, want default/alone 2 and default/web-abc-1 3", own)
	}
}
