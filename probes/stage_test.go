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
