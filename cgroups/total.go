package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// holdTotal limits what all pods may have together, so that something is left
// for the host whatever they do. It writes only what differs. A memory limit
// that is below what they use already would kill: it is not set, and the error
// tells so.
func (m *Manager) holdTotal(ctx context.Context) error {
	var failed []error
	if mount, ok := m.layout.hierarchy(ctlPIDs); ok {
		dir := filepath.Join(mount, m.cfg.Root)
		now, err := readNumber(dir, "pids.max")
		if want := orNone(m.cfg.TotalPIDs); err == nil && now != want {
			err = writeFile(dir, "pids.max", orMax(want))
		}
		failed = append(failed, err)
	}
	if mount, ok := m.layout.hierarchy(ctlMemory); ok {
		failed = append(failed, m.holdMemory(ctx, filepath.Join(mount, m.cfg.Root)))
	}
	err := errors.Join(failed...)
	if errors.Is(err, fs.ErrNotExist) || err == nil {
		return nil // there are no pods
	}
	return fmt.Errorf("limit all pods together: %w", err)
}

func (m *Manager) holdMemory(ctx context.Context, dir string) error {
	want := orNone(m.cfg.TotalMemory)
	now, err := m.readMemoryLimit(dir)
	if err != nil || same(now, want) {
		return err
	}
	if lower := want != none && (now == none || want < now); lower {
		used, err := m.memoryUsage(m.cfg.Root)
		if err != nil {
			return err
		}
		if used >= want {
			return fmt.Errorf("pods use %d bytes of memory, more than the %d that reserved.memory leaves them: they are not limited before they use less", used, want)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	settings := settings{memory: want}
	for _, f := range settings.files(m.layout.mode == V2) {
		if f.controller == ctlMemory {
			return writeFile(dir, f.name, f.value)
		}
	}
	return nil
}

// same tells whether a limit is set: the kernel rounds it to pages.
func same(now, want int64) bool {
	const page = 4096
	return now == want || now != none && want != none && now/page == want/page
}

func orNone(limit int64) int64 {
	if limit <= 0 {
		return none
	}
	return limit
}
