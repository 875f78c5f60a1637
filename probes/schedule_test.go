package probes_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/podstead/podstead/pod"
)

func TestAProbeIsMadeAtOnceAndThenEachPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, script(0))
		s.runner.Set([]pod.ProbeTarget{target("a")})
		s.until(25 * time.Second)
		s.checkAttempts("0s a", "10s a", "20s a")
		s.checkVerdicts("0s a success")
		s.end()
	})
}

// Probes of a period come together after their first attempt, each by a
// twentieth of the period earlier or later at most.
func TestProbesShareTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, script(0))
		var targets []pod.ProbeTarget
		for i, name := range []string{"a", "b", "c"} {
			targets = append(targets, target(name))
			s.until(time.Duration(i) * 130 * time.Millisecond)
			s.runner.Set(targets)
		}
		s.until(25 * time.Second)
		slices.Sort(s.attempts[3:6]) // of one time
		slices.Sort(s.attempts[6:])
		s.checkAttempts("0s a", "130ms b", "260ms c", "10s a", "10s b", "10s c", "20s a", "20s b", "20s c")
		s.end()
	})
}

func TestTheDelayCountsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, script(0))
		s.until(2 * time.Second)
		s.runner.Set([]pod.ProbeTarget{
			target("a", func(t *pod.ProbeTarget) { t.Probe.InitialDelaySeconds = 5 }),
			target("b", func(t *pod.ProbeTarget) { t.Probe.InitialDelaySeconds = 1 }),
		})
		s.until(8 * time.Second)
		s.checkAttempts("2s b", "5s a")
		s.end()
	})
}

func TestSubSecondPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, script(0))
		s.runner.Set([]pod.ProbeTarget{target("a", func(t *pod.ProbeTarget) { t.Period = 200 * time.Millisecond })})
		s.until(450 * time.Millisecond)
		s.checkAttempts("0s a", "200ms a", "400ms a")
		s.end()
	})
}

func TestALateAttemptIsNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := true
		s := newStage(t, func(context.Context, string) (int, error) {
			if slow {
				slow = false
				time.Sleep(2500 * time.Millisecond)
			}
			return 0, nil
		})
		s.runner.Set([]pod.ProbeTarget{target("a", period(1), func(t *pod.ProbeTarget) { t.Probe.TimeoutSeconds = 5 })})
		s.until(4500 * time.Millisecond)
		s.checkAttempts("0s a", "3s a", "4s a")
		s.end()
	})
}

func TestManyProbesThatArePastAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, script(0))
		s.until(time.Minute)
		const count = 200
		var targets []pod.ProbeTarget
		for i := range count {
			targets = append(targets, target(fmt.Sprintf("c%03d", i)))
		}
		s.runner.Set(targets)
		s.until(time.Minute + 999*time.Millisecond)
		if len(s.attempts) != count {
			t.Errorf("got %d attempts within a second, want %d", len(s.attempts), count)
		}
		perTenth := map[time.Duration]int{}
		for _, a := range s.attempts {
			var at, id string
			if _, err := fmt.Sscan(a, &at, &id); err != nil {
				t.Fatal(err)
			}
			offset, err := time.ParseDuration(at)
			if err != nil {
				t.Fatal(err)
			}
			perTenth[(offset-time.Minute)/(100*time.Millisecond)]++
		}
		for tenth, n := range perTenth {
			if n > 50 {
				t.Errorf("%d attempts in tenth %d of the second, want them spread", n, tenth)
			}
		}
		s.end()
	})
}

func TestFewProbesThatArePastAreMadeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, script(0))
		s.until(time.Minute) // as a readiness probe that a startup probe held back
		s.runner.Set([]pod.ProbeTarget{target("a")})
		s.until(time.Minute)
		s.checkAttempts("1m0s a")
		s.end()
	})
}

func TestAttemptsAtATimeAreBoundedAndFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(ctx context.Context, id string) (int, error) {
			if id == "z" {
				return 0, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		hog := func(t *pod.ProbeTarget) {
			t.Instance.Name, t.Probe.TimeoutSeconds, t.Probe.PeriodSeconds = "hog", 60, 60
		}
		var targets []pod.ProbeTarget
		for i := range 20 {
			targets = append(targets, target(fmt.Sprintf("hog%02d", i), hog))
		}
		targets = append(targets, target("z"))
		s.runner.Set(targets)
		s.until(time.Second)
		if len(s.verdicts) != 1 || s.most != 3 {
			t.Errorf("got %q beside a pod that hangs, which has %d commands at a time, want one verdict and 2", s.verdicts, s.most-1)
		}
		for i := range 20 {
			targets = append(targets, target(fmt.Sprintf("other%02d", i), func(t *pod.ProbeTarget) { t.Probe.TimeoutSeconds = 9 }))
		}
		s.runner.Set(targets)
		s.until(5 * time.Second)
		if s.most != 8 {
			t.Errorf("got %d commands at a time, want 8", s.most)
		}
		s.end()
	})
}
