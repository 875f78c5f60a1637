package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lives starts daemons that end by themselves after so long each, and then
// ones that don't.
func lives(t *testing.T, started *int, spans ...time.Duration) func() (*daemon, error) {
	return func() (*daemon, error) {
		d := &daemon{log: filepath.Join(t.TempDir(), "none"), ended: make(chan struct{})}
		*started++
		if *started <= len(spans) {
			d.err = errors.New("signal: killed")
			time.AfterFunc(spans[*started-1], func() { close(d.ended) })
		}
		return d, nil
	}
}

func TestPodsteadIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		started := 0
		var said []string
		k := keeper{
			start: lives(t, &started, time.Minute, time.Second, time.Second, 10*time.Second, time.Second, time.Second),
			say:   func(line string) { said = append(said, line) }, pause: time.Second,
		}
		d, err := k.keep(ctx)
		if err != nil || d == nil || started != 7 || len(said) != 6 {
			t.Fatalf("got %v, %v after %d starts and %q, want the seventh to run", d, err, started, said)
		}
		if want := "podstead ended (signal: killed); its containers go on, and it is started again in 1s\n"; said[0] != want {
			t.Errorf("it said %q, want %q", said[0], want)
		}
	})
}

func TestThreeHastyEndsInARowAreEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := 0
		k := keeper{
			start: lives(t, &started, time.Second, time.Minute, time.Second, time.Second, time.Second),
			say:   func(string) {}, pause: time.Second,
		}
		d, err := k.keep(t.Context())
		if err == nil || d != nil || started != 5 {
			t.Fatalf("got %v, %v after %d starts, want it to give up after the fifth", d, err, started)
		}
		if want := "podstead ended 3 times in a row within 2s of its start, lastly by signal: killed"; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %q, want %q", err, want)
		}
	})
}

// An interrupt in the pause finds containers and nobody to stop them.
func TestPodsteadRunsAfterAnInterruptInThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		started := 0
		k := keeper{start: lives(t, &started, 3*time.Second), say: func(string) {}, pause: time.Second}
		if d, err := k.keep(ctx); err != nil || d == nil || started != 2 {
			t.Fatalf("got %v, %v after %d starts, want the second", d, err, started)
		}
	})
}
