package agent_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

// What happened is counted once, and a snapshot keeps the numbers of its time.
func TestEventsAreCounted(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		first := a.Latest().Counters
		want := map[pod.PullResult]uint64{pod.PullSuccess: 1}
		if diff := cmp.Diff(want, first.Pulls); diff != "" {
			t.Errorf("pulls (-want +got):\n%s", diff)
		}
		if first.PullSeconds.Count != 1 || first.StartSeconds.Count != 1 || first.Operations["start"].Seconds.Count != 1 {
			t.Errorf("%d pulls, %d pods, %d runs timed, want one of each", first.PullSeconds.Count, first.StartSeconds.Count, first.Operations["start"].Seconds.Count)
		}
		if n := first.SourceStates[pod.SourceResult{Source: "local", Result: "success"}]; n != 1 {
			t.Errorf("%d states of the source, want 1", n)
		}
		endRun(f, 1, "")
		settle(time.Second)
		endRun(f, 137, pod.ExitOOMKilled)
		settle(time.Minute)
		if err := a.Restart(t.Context(), pod.Key{Namespace: "default", Name: "web"}, ""); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		now := a.Latest()
		causes := map[pod.RestartCause]uint64{pod.RestartExit: 1, pod.RestartOOM: 1, pod.RestartStopped: 1}
		if diff := cmp.Diff(causes, now.Counters.Restarts); diff != "" {
			t.Errorf("restarts (-want +got):\n%s", diff)
		}
		if got := now.Pods[0].Containers[0].OOMKills; got != 1 {
			t.Errorf("%d runs ended for want of memory, want 1", got)
		}
		if now.Counters.Relists.Count < 2 || now.Counters.RelistGaps.Count != now.Counters.Relists.Count-1 {
			t.Errorf("%d listings with %d gaps", now.Counters.Relists.Count, now.Counters.RelistGaps.Count)
		}
		if first.Restarts[pod.RestartExit] != 0 || first.Operations["start"].Seconds.Count != 1 {
			t.Errorf("the counters of an old snapshot changed: %+v", first)
		}
	})
}

// endRun ends the run that lives, for the reason given, or as its code says.
func endRun(f *fake, code int, reason string) {
	f.set(func(f *fake) {
		for id, c := range f.containers {
			if c.State != pod.StateRunning {
				continue
			}
			f.end(id, code)
			if c = f.containers[id]; reason != "" {
				c.Exit.Reason = reason
			}
		}
	})
}
