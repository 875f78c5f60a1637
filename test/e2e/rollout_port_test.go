package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPortOfTheHostLeavesAGap: two pods can't have one port of the host, so the
// old one ends first. How long nobody answers is measured: from the last answer
// of the old version to the first of the new one, which has its image already.
func TestPortOfTheHostLeavesAGap(t *testing.T) {
	t.Parallel()
	client := clientFrom(theHost, func(t *http.Transport) { t.DisableKeepAlives = true })
	ask := func() error {
		answer, err := client.Get("http://127.0.0.1:18133/healthz")
		if err == nil {
			err = answer.Body.Close()
		}
		return err
	}
	h := newRollouts(t, "1", "2")
	web := rollout{name: "web", version: "1", replicas: 1, watch: 1}
	manifest := func() string {
		return strings.Replace(web.yaml(), "containerPort: 8080", "containerPort: 8080, hostPort: 18133", 1)
	}
	h.Write("web.yaml", manifest())
	rolled(h, "web", "1", 1)
	goodAt(h, "web", "1")
	web.version = "2"
	next := filepath.Join(t.TempDir(), "next.yaml")
	if err := os.WriteFile(next, []byte(manifest()), 0o600); err != nil {
		t.Fatal(err)
	}
	// It exits with 1, since something would change.
	if plan, _ := h.CLI("diff", "-f", next); !strings.Contains(plan, "stop-first") || !strings.Contains(plan, "18133") {
		t.Errorf("diff says\n%s\nwant that it stops first, and for which port", plan)
	}
	ctx, end := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	var answered, gap time.Duration
	asking.Go(func() {
		began := time.Now()
		for ctx.Err() == nil {
			if ask() == nil {
				now := time.Since(began)
				gap, answered = max(gap, now-answered), now
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	h.Write("web.yaml", manifest())
	rolled(h, "web", "2", 1)
	h.Eventually(patience, ask)
	end()
	asking.Wait()
	t.Logf("nobody answered for %s", gap.Round(time.Millisecond))
	if gap < 20*time.Millisecond || gap > 20*time.Second {
		t.Errorf("nobody answered for %s, want some time and not 20 s", gap)
	}
}
