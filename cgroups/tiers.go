package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// weighTiers sets how the CPU is shared between our tree and the host, and
// between the tiers: Burstable pods together weigh as much as their requests,
// BestEffort pods together as little as possible.
func (m *Manager) weighTiers() error {
	mount, ok := m.layout.hierarchy(ctlCPU)
	if !ok {
		return nil
	}
	m.tiers.Lock()
	defer m.tiers.Unlock()
	burstable, err := m.sumShares(filepath.Join(mount, m.cfg.Root, burstableTier))
	if err != nil {
		return fmt.Errorf("weigh %s pods: %w", burstableTier, err)
	}
	for at, want := range map[string]uint64{
		m.cfg.Root:                            shares(amountOf(m.cfg.Capacity).milliCPU),
		path.Join(m.cfg.Root, burstableTier):  burstable,
		path.Join(m.cfg.Root, bestEffortTier): minShares,
	} {
		if err := m.setShares(filepath.Join(mount, at), want); err != nil {
			return fmt.Errorf("weigh cgroup %s: %w", at, err)
		}
	}
	return nil
}

// sumShares adds up the shares of the pods in a tier, as the kernel has them.
func (m *Manager) sumShares(tier string) (uint64, error) {
	entries, err := os.ReadDir(tier)
	if errors.Is(err, fs.ErrNotExist) {
		return minShares, nil
	}
	if err != nil {
		return 0, err
	}
	sum := uint64(0)
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), podPrefix) {
			continue
		}
		s, err := m.readShares(filepath.Join(tier, e.Name()))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return 0, err
		}
		sum += s
	}
	return min(max(sum, minShares), maxShares), nil
}

// setShares writes only what differs. A cgroup that is not there is no error.
func (m *Manager) setShares(dir string, want uint64) error {
	now, err := m.readShares(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.layout.mode == V2 {
		if weight(now) == weight(want) {
			return nil
		}
		return writeFile(dir, "cpu.weight", number(int64(weight(want))))
	}
	if now == want {
		return nil
	}
	return writeFile(dir, "cpu.shares", number(int64(want)))
}
