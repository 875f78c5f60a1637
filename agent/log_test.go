package agent_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Who reads the log must not wonder whether something happened twice.
func TestRuntimeIsLoggedOncePerChangeWithTheNodesName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		f := newFake()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- newLoggingAgent(f, zap.New(core)).Run(ctx) }()
		settle(time.Second)
		f.set(func(f *fake) { f.down = true })
		settle(10 * time.Minute)
		cancel()
		<-done

		for _, text := range []string{"containerd answers", "containerd can't be asked"} {
			found := logs.Filter(func(e observer.LoggedEntry) bool { return strings.Contains(e.Message, text) }).All()
			if len(found) != 1 {
				t.Errorf("%q was logged %d times, want once", text, len(found))
				continue
			}
			if got := found[0].ContextMap()["object"]; got != "Node/edge" {
				t.Errorf("%q is about %q, want Node/edge", text, got)
			}
		}
	})
}
