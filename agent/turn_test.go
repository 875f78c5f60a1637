package agent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

func TestPodsGetSlotsInTheOrderInWhichTheyAsked(t *testing.T) {
	f := newFake()
	f.delay = 10 * time.Second
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		var pods []pod.Desired
		for i := range 6 { // more than there are slots
			pods = append(pods, desired(fmt.Sprintf("y%d", i)))
		}
		pods = append(pods, desired("z"))
		a.Publish(source(pods...))
		settle(15 * time.Second)
		for i := range 20 {
			pods = append(pods, desired(fmt.Sprintf("b%02d", i)))
		}
		a.Publish(source(pods...))
		settle(50 * time.Second)
		if got := f.running(); !strings.Contains(got, "z/app") || strings.Contains(got, "b19/app") {
			t.Errorf("running is %q, want z, which asked before the others", got)
		}
	})
}
