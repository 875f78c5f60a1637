package probes_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

func TestThresholds(t *testing.T) {
	for name, c := range map[string]struct {
		success, failure int32
		codes            []int
		want             []string
	}{
		"one success":                       {1, 3, []int{0, 0, 0}, []string{"0s a success"}},
		"three failures":                    {1, 3, []int{1, 1, 1}, []string{"2s a failure"}},
		"heard again of each failure":       {1, 3, []int{1, 1, 1, 1, 1}, []string{"2s a failure", "3s a failure", "4s a failure"}},
		"two failures and a success":        {1, 3, []int{1, 1, 0, 1, 1, 0}, []string{"2s a success"}},
		"back again":                        {1, 2, []int{0, 1, 1, 0}, []string{"0s a success", "2s a failure", "3s a success"}},
		"two successes":                     {2, 1, []int{0, 1, 0, 0, 0}, []string{"1s a failure", "3s a success"}},
		"one success of two, still failing": {2, 1, []int{1, 0, 1}, []string{"0s a failure", "2s a failure"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, script(c.codes...))
				s.runner.Set([]pod.ProbeTarget{target("a", period(1), func(t *pod.ProbeTarget) {
					t.Probe.SuccessThreshold, t.Probe.FailureThreshold = c.success, c.failure
				})})
				s.until(time.Duration(len(c.codes)-1)*time.Second + 500*time.Millisecond)
				s.checkVerdicts(c.want...)
				s.end()
			})
		})
	}
}

func TestWhatCantBeAskedCountsNeitherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		s := newStage(t, func(context.Context, string) (int, error) {
			if down {
				return 0, fmt.Errorf("dial containerd: %w", pod.ErrUnavailable)
			}
			return 1, nil
		})
		s.runner.Set([]pod.ProbeTarget{target("a")})
		s.until(15 * time.Second)
		down = true // failed at 0 and 10
		s.until(20 * time.Second)
		s.checkVerdicts()
		s.until(28 * time.Second)
		s.checkAttempts("0s a", "10s a", "20s a", "21s a", "23s a", "27s a")
		r := s.runner.Reports("a")[0]
		if r.Outcome != pod.ProbeUnknown || r.Failed != 2 || r.Unknown != 4 || r.Streak != 2 || r.Recent[4].At.Wall.Sub(r.Since.Wall) != 10*time.Second {
			t.Errorf("got %+v", r)
		}
		if want := `exec ["check"]: dial containerd: unavailable; the attempt does not count`; r.Recent[0].Message != want {
			t.Errorf("got %q, want %q", r.Recent[0].Message, want)
		}
		down = false
		s.until(36 * time.Second)
		s.checkVerdicts("35s a failure") // the third that counts
		s.end()
	})
}

func TestACommandIsEndedWhenItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(ctx context.Context, _ string) (int, error) {
			<-ctx.Done()
			time.Sleep(3 * time.Second) // ending it takes its time, which is nobody's fault
			return 0, ctx.Err()
		})
		s.runner.Set([]pod.ProbeTarget{target("a", func(t *pod.ProbeTarget) { t.Probe.FailureThreshold = 1 })})
		s.until(5 * time.Second)
		s.checkVerdicts("4s a failure")
		want := `exec ["check"]: it did not end within 1s and was ended`
		if got := s.runner.Reports("a")[0].Recent[0].Message; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		s.end()
	})
}

func TestAnAttemptThatPodsteadWasLateForIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *stage
		first := true
		s = newStage(t, func(ctx context.Context, _ string) (int, error) {
			if !first {
				return 0, nil
			}
			first = false
			s.mu.Lock()
			s.skew += 300 * time.Millisecond // the server slept
			s.mu.Unlock()
			<-ctx.Done()
			return 0, ctx.Err()
		})
		s.runner.Set([]pod.ProbeTarget{target("a", func(t *pod.ProbeTarget) { t.Probe.FailureThreshold = 1 })})
		s.until(2 * time.Second)
		s.checkAttempts("0s a", "1s a")
		s.checkVerdicts("1s a success")
		s.end()
	})
}

func TestSetKeepsWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, script(1))
		s.runner.Set([]pod.ProbeTarget{target("a")})
		s.until(12 * time.Second)
		again := target("a", func(t *pod.ProbeTarget) { t.Spec = &corev1.Container{Name: "app", Image: "other"} })
		for range 3 {
			s.runner.Set([]pod.ProbeTarget{again, target("b")})
		}
		s.until(21 * time.Second)
		s.checkAttempts("0s a", "10s a", "12s b", "20s a")
		s.checkVerdicts("20s a failure")
		s.end()
	})
}

func TestSetBeginsAnewWhatChanged(t *testing.T) {
	for name, change := range map[string]func(*pod.ProbeTarget){
		"threshold": func(t *pod.ProbeTarget) { t.Probe.FailureThreshold = 4 },
		"command":   func(t *pod.ProbeTarget) { t.Probe.Exec.Command = []string{"other"} },
		"period":    func(t *pod.ProbeTarget) { t.Period = 5 * time.Second },
		"host":      func(t *pod.ProbeTarget) { t.Host = "127.0.0.2" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, script(1))
				s.runner.Set([]pod.ProbeTarget{target("a")})
				s.until(12 * time.Second)
				s.runner.Set([]pod.ProbeTarget{target("a", change)})
				s.until(13 * time.Second)
				s.checkAttempts("0s a", "10s a", "12s a")
				if r := s.runner.Reports("a")[0]; r.Failed != 1 || r.Streak != 1 {
					t.Errorf("got %d failed, streak %d, want both 1", r.Failed, r.Streak)
				}
				s.end()
			})
		})
	}
}

func TestLateResultsOfWhatIsGoneAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended time.Duration
		var s *stage
		s = newStage(t, func(ctx context.Context, id string) (int, error) {
			if id == "b" {
				return 0, nil
			}
			<-ctx.Done()
			ended = time.Since(s.begun)
			return 0, nil // a success that nobody asked for any more
		})
		s.runner.Set([]pod.ProbeTarget{target("a")})
		s.until(500 * time.Millisecond)
		s.runner.Set([]pod.ProbeTarget{target("b")})
		s.until(time.Minute)
		s.checkVerdicts("500ms b success")
		if ended != 500*time.Millisecond {
			t.Errorf("the attempt was ended after %s, want it ended with its probe after 500ms", ended)
		}
		if r := s.runner.Reports("a"); r != nil {
			t.Errorf("got reports of what is gone: %+v", r)
		}
		s.end()
	})
}

func TestRunEndsWithItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(ctx context.Context, _ string) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		s.runner.Set([]pod.ProbeTarget{target("a")})
		s.until(500 * time.Millisecond)
		s.end()
		s.checkVerdicts()
		s.runner.Set(nil) // after the end it does nothing, and blocks nobody
		s.runner.Set([]pod.ProbeTarget{target("a")})
	})
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, script(0, 0, 1))
		readiness := target("b", func(t *pod.ProbeTarget) { t.Kind = pod.ProbeReadiness })
		s.runner.Set([]pod.ProbeTarget{target("b"), readiness, target("a")})
		s.until(65 * time.Second)
		var order []string
		for _, r := range s.runner.All() {
			order = append(order, r.Container+" "+string(r.Kind))
		}
		if diff := cmp.Diff([]string{"a liveness", "b liveness", "b readiness"}, order); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		r := s.runner.Reports("b")
		if len(r) != 2 || r[0].Kind != pod.ProbeLiveness || r[1].Kind != pod.ProbeReadiness {
			t.Fatalf("got %+v", r)
		}
		if got := len(r[0].Recent); got != 5 {
			t.Errorf("%d attempts are remembered, want 5", got)
		}
		newest, oldest := r[0].Recent[0].At.Moment, r[0].Recent[4].At.Moment
		if newest != zero.Add(time.Minute) || oldest != zero.Add(20*time.Second) {
			t.Errorf("the newest is of %s and the oldest of %s", newest.Sub(zero), oldest.Sub(zero))
		}
		if next := r[0].Next; next.Moment != zero.Add(70*time.Second) || !next.Wall.Equal(s.begun.Add(70*time.Second)) {
			t.Errorf("next is %v", next)
		}
		s.end()
	})
}
