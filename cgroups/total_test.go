package cgroups

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// All pods together leave the host what is reserved, also what a pod has that
// has no limits of its own.
func TestAllPodsTogether(t *testing.T) {
	m := host(t)
	read := func(controller, v1, v2 string) int64 {
		t.Helper()
		mount, _ := m.layout.hierarchy(controller)
		name := v1
		if m.layout.mode == V2 {
			name = v2
		}
		n, err := readNumber(filepath.Join(mount, m.cfg.Root), name)
		if err != nil {
			t.Fatal(err)
		}
		if n >= noLimitV1 {
			n = none
		}
		return n
	}
	expect := func(memory, pids int64) {
		t.Helper()
		if got := read(ctlMemory, "memory.limit_in_bytes", "memory.max"); got != memory {
			t.Errorf("memory of all pods: %d, want %d", got, memory)
		}
		if got := read(ctlPIDs, "pids.max", "pids.max"); got != pids {
			t.Errorf("tasks of all pods: %d, want %d", got, pids)
		}
	}
	ctx := context.Background()
	if _, err := m.Check(ctx); err != nil {
		t.Errorf("before there are pods: %v", err)
	}
	m.cfg.TotalMemory, m.cfg.TotalPIDs = 256<<20, 20
	p := podOf(nil, container("app", nil, nil))
	if err := m.Prepare(ctx, "total", p); err != nil {
		t.Fatal(err)
	}
	expect(256<<20, 20)

	// A pod that may have 1024 tasks gets no more than there are for all.
	_, say, _ := runIn(t, m, m.Path("total", p), "fork")
	say("go\n")
	eventually(t, "it has its tasks", func() bool {
		s, err := m.Stats(ctx, m.Path("total", p))
		if err != nil || s.PIDs == nil || s.PIDs.Current > 20 {
			t.Fatalf("%+v, %v, want at most 20 tasks", s.PIDs, err)
		}
		return s.PIDs.Current >= 15
	})
	if err := m.Remove(ctx, "total"); err != nil {
		t.Fatal(err)
	}

	// A limit below what is in use waits.
	if err := m.Prepare(ctx, "eats", p); err != nil {
		t.Fatal(err)
	}
	eater, say, hear := runIn(t, m, m.Path("eats", p), "eat")
	say("go\n")
	if got := hear(); got != "done" {
		t.Fatalf("the eater said %q", got)
	}
	m.cfg.TotalMemory = 16 << 20
	if _, err := m.Check(ctx); err == nil || !strings.Contains(err.Error(), "more than the 16777216 that reserved.memory leaves") {
		t.Errorf("a limit below the use: %v", err)
	}
	expect(256<<20, 20)
	if err := eater.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = eater.Wait()
	eventually(t, "the limit is set", func() bool { _, err := m.Check(ctx); return err == nil })
	expect(16<<20, 20)

	// Nothing is reserved any more.
	m.cfg.TotalMemory, m.cfg.TotalPIDs = 0, 0
	if _, err := m.Check(ctx); err != nil {
		t.Error(err)
	}
	expect(none, none)
}
