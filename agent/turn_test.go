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
		for i := range 12 { // they hold all slots for a minute
			pods = append(pods, desired(fmt.Sprintf("y%02d", i)))
		}
		a.Publish(source(pods...))
		settle(35 * time.Second)
		pods = append(pods, desired("z"))
		a.Publish(source(pods...))
		settle(25 * time.Second) // its image was found, so it has asked
		for i := range 20 {
			pods = append(pods, desired(fmt.Sprintf("b%02d", i)))
		}
		a.Publish(source(pods...))
		settle(time.Minute)
		if got := f.running(); !strings.Contains(got, "z/app") || strings.Contains(got, "b19/app") {
			t.Errorf("running is %q, want z, which asked before the others", got)
		}
	})
}

func TestEndingAndBeginningDoNotWaitForEachOther(t *testing.T) {
	many := make([]pod.Desired, 40)
	for i := range many {
		many[i] = desired(fmt.Sprintf("many%02d", i))
	}
	gone := func(a *agent.Agent, name string) bool {
		_, shown := a.Latest().Find(pod.Key{Namespace: "default", Name: name})
		return !shown
	}
	t.Run("one pod ends while many begin", func(t *testing.T) {
		f := newFake()
		inBubble(t, f, func(t *testing.T, a *agent.Agent) {
			a.Publish(source(desired("old")))
			settle(time.Second)
			f.set(func(f *fake) { f.delay = 10 * time.Second })
			a.Publish(source(many...))
			settle(90 * time.Second)
			if !gone(a, "old") {
				t.Error("the old pod is still there after 90 s")
			}
			if f.count("start ") == len(many)+1 {
				t.Error("all others were started already: nothing was shown")
			}
		})
	})
	t.Run("one pod begins while many end", func(t *testing.T) {
		f := newFake()
		inBubble(t, f, func(t *testing.T, a *agent.Agent) {
			a.Publish(source(many...))
			settle(time.Minute)
			f.set(func(f *fake) { f.delay = 10 * time.Second })
			a.Publish(source())
			settle(45 * time.Second) // their processes have ended, and are being cleaned up
			a.Publish(source(desired("new")))
			settle(45 * time.Second)
			if got := f.running(); got != "new/app#1.0" {
				t.Errorf("running is %q, want the new pod", got)
			}
			if left := len(a.Latest().Pods); left < len(many)/2 {
				t.Errorf("only %d of the others are left: nothing was shown", left)
			}
		})
	})
}
