package agent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

// In a storm of containers that end at once, a new pod and one that ran well
// have their turn, and the storm no more than its part.
func TestAStormOfCrashes(t *testing.T) {
	f := newFake()
	f.delay = 100 * time.Millisecond
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		var pods []pod.Desired
		for i := range 100 {
			pods = append(pods, desired(fmt.Sprintf("crash-%03d", i)))
		}
		well := desired("well")
		a.Publish(source(append(pods, well)...))
		settle(time.Minute)
		storm := func() {
			for id, c := range f.containers {
				if strings.HasPrefix(c.Instance.Name, "crash-") {
					f.end(id, 1)
				}
			}
		}
		f.set(func(*fake) { storm() })
		before, from := f.count("start"), time.Now()
		for range 60 {
			settle(time.Second)
			f.set(func(*fake) { storm() })
		}
		made, took := f.count("start")-before, time.Since(from).Seconds()
		if most := 4*took + 20; float64(made) > most || float64(made) < 3*took {
			t.Errorf("%d restarts within %.0f s, want about four per second", made, took)
		}
		if !slices.ContainsFunc(a.Latest().Pods, waitsForItsTurn) {
			t.Error("of a hundred that crash, none is shown as one that waits for its turn")
		}
		a.Publish(source(append(pods, well, desired("new"))...))
		f.set(func(*fake) {
			for id, c := range f.containers {
				if c.Instance.Name == "well" {
					f.end(id, 1)
				}
			}
		})
		settle(2 * time.Second)
		if got := f.running(); !strings.Contains(got, "new/app#1.0") || !strings.Contains(got, "well/app#1.1") {
			t.Errorf("%s runs after two seconds, want new and well among them", got)
		}
	})
}

func waitsForItsTurn(v pod.View) bool {
	w := v.Pod.Status.ContainerStatuses[0].State.Waiting
	return w != nil && w.Reason == "CrashLoopBackOff" && strings.Contains(w.Message, "waits for its turn")
}
