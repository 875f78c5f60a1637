package plan_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// However many containers want to be restarted, in any minute no more are than
// the rate and the burst allow, and those that ran well find a turn.
func TestTakeRestart(t *testing.T) {
	s := plan.DefaultSettings()
	var b plan.Bucket
	take := func(failures int, now pod.Moment) (n int) {
		for {
			after, at, ok := s.TakeRestart(b, failures, now)
			if !ok {
				if at <= now {
					t.Fatalf("no turn at %s, and the next one at %s", time.Duration(now), time.Duration(at))
				}
				return n
			}
			b = after
			n++
		}
	}
	for _, step := range []struct {
		at             time.Duration
		failures, want int
	}{
		{time.Hour, 2, 10},                // a storm has half of the bucket
		{time.Hour, 1, 10},                // the other half is for those that ran well
		{time.Hour + time.Second, 2, 0},   // what comes in is theirs first
		{time.Hour + time.Second, 1, 4},   // four per second
		{time.Hour + 4*time.Second, 2, 2}, // twelve came, ten are kept
		{time.Hour + 5*time.Second, 2, 4}, // four per second
		{2 * time.Hour, 5, 10}, {2 * time.Hour, 1, 10}, {2 * time.Hour, 1, 0},
	} {
		if got := take(step.failures, pod.Moment(step.at)); got != step.want {
			t.Errorf("at %s, %d failures: %d restarts, want %d", step.at, step.failures, got, step.want)
		}
	}
	s.RestartRate = 0
	if _, _, ok := s.TakeRestart(plan.Bucket{Taken: 1e9, At: 1}, 9, 1); !ok {
		t.Error("without a rate there is a bound")
	}
}

func TestTakeRestartLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := plan.Settings{RestartRate: rapid.Float64Range(.1, 20).Draw(t, "rate"), RestartBurst: rapid.IntRange(1, 50).Draw(t, "burst")}
		var b plan.Bucket
		now := pod.Moment(time.Hour)
		from, taken := now, 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			failures := rapid.IntRange(1, 3).Draw(t, "failures")
			after, at, ok := s.TakeRestart(b, failures, now)
			if !ok {
				// It is no promise in vain.
				if _, _, then := s.TakeRestart(b, failures, at); !then {
					t.Fatalf("a turn was promised for %s and there is none", at.Sub(now))
				}
				continue
			}
			b = after
			taken++
			if most := float64(s.RestartBurst) + s.RestartRate*now.Sub(from).Seconds() + 1e-6; float64(taken) > most {
				t.Fatalf("%d restarts within %s, want at most %.1f", taken, now.Sub(from), most)
			}
		}
	})
}
