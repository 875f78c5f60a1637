package agent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

func TestLeftoversOfTheDeadAreRemoved(t *testing.T) {
	f := newFake()
	f.leftovers = []types.UID{"gone"}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		settle(time.Second)
		if events := fmt.Sprint(a.Latest().Events); !strings.Contains(events, "removed the volumes of a pod that is gone (uid gone)") {
			t.Errorf("events %s", events)
		}
	})
}

func TestLogsOfTheDeadAreRemovedAndThoseOfOthersAreNot(t *testing.T) {
	f := newFake()
	gone := pod.Instance{Key: pod.Key{Namespace: "default", Name: "gone"}, Number: 2}
	const foreign = "0c9d5b8e-7d1c-4b44-9a8a-6a3b1d6a6a55"
	f.logs = map[types.UID]pod.Key{pod.UID("node", gone): gone.Key, foreign: gone.Key}
	f.history = map[string]int{"default/gone": 3}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		settle(time.Second)
		events := fmt.Sprint(a.Latest().Events)
		if !strings.Contains(events, "removed the logs of a pod that is gone (uid "+string(pod.UID("node", gone))+")") {
			t.Errorf("nothing was removed: %s", events)
		}
		if strings.Contains(events, foreign) {
			t.Errorf("logs of others were removed: %s", events)
		}
	})
}
