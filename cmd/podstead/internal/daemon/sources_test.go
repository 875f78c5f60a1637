package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/manifest/source"
	"github.com/podstead/podstead/pod"
)

// failing is a source whose Run publishes, if it is told to, and fails after
// some time.
type failing struct {
	publishes bool
	after     time.Duration
}

func (f failing) Run(ctx context.Context, publish func(pod.SourceState)) error {
	if f.publishes {
		publish(pod.SourceState{Name: "s"})
	}
	select {
	case <-time.After(f.after):
		return errors.New("run failed")
	case <-ctx.Done():
		return nil
	}
}

// trySource runs one source in a bubble for the given time and returns when
// it was made, in seconds since the start, and what it published.
func trySource(t *testing.T, wait time.Duration, made func(attempt int) (runner, error)) (times []float64, published []string) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		s := newSources(j, nil, zap.NewNop())
		begun := time.Now()
		s.making = func(config.Source, int, *source.Store) (runner, error) {
			times = append(times, time.Since(begun).Seconds())
			return made(len(times))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx, []config.Source{directory("s", "/s")}) }()
		time.Sleep(wait)
		synctest.Wait()
		cancel()
		ended := time.Now()
		<-done
		if d := time.Since(ended); d != 0 {
			t.Errorf("ended %v after it was told to", d)
		}
		published = j.lines
	})
	return times, published
}

func TestSourceThatCanNotBeMadeIsTriedAgain(t *testing.T) {
	times, published := trySource(t, 95*time.Second, func(attempt int) (runner, error) {
		switch {
		case attempt <= 4:
			return nil, errors.New("no CA file")
		case attempt <= 7:
			return nil, errors.New("no key file")
		default:
			return failing{publishes: true, after: time.Hour}, nil
		}
	})
	if diff := cmp.Diff([]float64{0, 1, 3, 7, 15, 31, 61, 91}, times); diff != "" {
		t.Errorf("made at (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"publish s no CA file", "publish s no key file", "publish s "}, published); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}

func TestSourceThatFailsIsRunAgain(t *testing.T) {
	times, published := trySource(t, 95*time.Second, func(attempt int) (runner, error) {
		switch attempt {
		case 1, 2, 3:
			return failing{}, nil // at 0, 1, 3
		case 4:
			return failing{publishes: true, after: 40 * time.Second}, nil // from 7 to 47
		default:
			return failing{after: time.Hour}, nil
		}
	})
	// It ran for so long that the back-off begins anew, and what it published
	// hides the failure, which is therefore told again.
	if diff := cmp.Diff([]float64{0, 1, 3, 7, 48}, times); diff != "" {
		t.Errorf("made at (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"publish s run failed", "publish s ", "publish s run failed"}, published); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}
