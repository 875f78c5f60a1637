package probes_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/probes"
)

// stage runs a Runner in a bubble of synctest on commands that are made up.
type stage struct {
	t      *testing.T
	runner *probes.Runner
	begun  time.Time
	cancel context.CancelFunc
	ended  chan error

	mu       sync.Mutex
	skew     time.Duration // how far the clock went without the timers
	attempts []string      // "OFFSET CONTAINER"
	verdicts []string      // "OFFSET CONTAINER OUTCOME"
	running  int
	most     int
	// act is what a command does.
	act func(ctx context.Context, id string) (int, error)
}

// zero is when stages begin, since boot.
const zero = pod.Moment(time.Hour)

func newStage(t *testing.T, act func(ctx context.Context, id string) (int, error)) *stage {
	s := &stage{t: t, begun: time.Now(), act: act, ended: make(chan error)}
	s.runner = probes.New(probes.Config{Exec: s.exec, Now: s.now, Judge: s.judge})
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() { s.ended <- s.runner.Run(ctx) }()
	return s
}

func (s *stage) now() pod.Stamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	return pod.Stamp{Moment: zero.Add(time.Since(s.begun) + s.skew), Wall: time.Now()}
}

func (s *stage) exec(ctx context.Context, id string, _ []string, _ io.Writer) (int, error) {
	s.mu.Lock()
	s.attempts = append(s.attempts, fmt.Sprintf("%s %s", time.Since(s.begun), id))
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	code, err := s.act(ctx, id)
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	return code, err
}

func (s *stage) judge(v pod.ProbeVerdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdicts = append(s.verdicts, fmt.Sprintf("%s %s %s", time.Since(s.begun), v.Container, v.Outcome))
}

// until lets time pass up to an offset from the beginning.
func (s *stage) until(offset time.Duration) {
	time.Sleep(offset - time.Since(s.begun))
	synctest.Wait()
}

func (s *stage) end() {
	s.cancel()
	if err := <-s.ended; err != nil {
		s.t.Errorf("Run: %v", err)
	}
}

func (s *stage) checkAttempts(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(want, s.attempts); diff != "" {
		s.t.Errorf("attempts (-want +got):\n%s", diff)
	}
}

func (s *stage) checkVerdicts(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(want, s.verdicts); diff != "" {
		s.t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func script(codes ...int) func(context.Context, string) (int, error) {
	i := 0
	return func(context.Context, string) (int, error) {
		i++
		return codes[min(i, len(codes))-1], nil
	}
}

func target(id string, change ...func(*pod.ProbeTarget)) pod.ProbeTarget {
	t := pod.ProbeTarget{
		ProbeID:  pod.ProbeID{Container: id, Kind: pod.ProbeLiveness},
		Instance: pod.Instance{Key: pod.Key{Namespace: "default", Name: "web-" + id}, Number: 1},
		Spec:     &corev1.Container{Name: "app"},
		Probe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"check"}}},
			PeriodSeconds: 10, TimeoutSeconds: 1, SuccessThreshold: 1, FailureThreshold: 3,
		},
		Host:    "127.0.0.1",
		Started: pod.Stamp{Moment: zero, Wall: time.Now()},
	}
	for _, c := range change {
		c(&t)
	}
	return t
}

func period(seconds int32) func(*pod.ProbeTarget) {
	return func(t *pod.ProbeTarget) { t.Probe.PeriodSeconds = seconds }
}

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
		if r.Outcome != pod.ProbeUnknown || r.Failed != 2 || r.Unknown != 4 || r.Streak != 2 {
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
