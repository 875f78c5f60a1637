package cgroups

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/podstead/podstead/pod"
)

// make makes a cgroup and those above it in every hierarchy.
func (m *Manager) make(ctx context.Context, at string) error {
	for _, mount := range m.layout.all {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("make cgroup %s: %w", at, err)
		}
		// Tasks can't enter a cpuset before it has CPUs; runtimes make and
		// fill the ones that they need.
		if mount == m.layout.v1["cpuset"] {
			continue
		}
		if err := os.MkdirAll(filepath.Join(mount, at), 0o755); err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
	}
	if m.layout.mode != V2 {
		return nil
	}
	return m.delegateDown(at)
}

// delegateDown lets each cgroup from the root of the hierarchy down to at use
// the controllers that limits need.
func (m *Manager) delegateDown(at string) error {
	var up strings.Builder
	for part := range strings.SplitSeq(at, "/") {
		up.WriteString(part + "/")
		if _, err := m.delegate(up.String()); err != nil {
			return err
		}
	}
	return nil
}

// delegate enables the controllers for the children of a v2 cgroup and tells
// whether any that limits need had been off.
func (m *Manager) delegate(at string) (changed bool, err error) {
	dir := filepath.Join(m.layout.unified, at)
	have, err := readFields(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return false, fmt.Errorf("enable controllers in cgroup %s: %w", at, err)
	}
	on, err := readFields(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return false, fmt.Errorf("enable controllers in cgroup %s: %w", at, err)
	}
	if slices.Contains(have, ctlIO) && !slices.Contains(on, ctlIO) {
		// It only counts: without it there are fewer statistics.
		_ = writeFile(dir, "cgroup.subtree_control", "+"+ctlIO)
	}
	for _, c := range []string{ctlCPU, ctlMemory, ctlPIDs} {
		if !slices.Contains(have, c) || slices.Contains(on, c) {
			continue
		}
		if err := writeFile(dir, "cgroup.subtree_control", "+"+c); err != nil {
			return changed, fmt.Errorf("enable controller %s in cgroup %s: %w", c, at, err)
		}
		changed = true
	}
	return changed, nil
}

// file is one setting in one file of a cgroup.
type file struct{ controller, name, value string }

// files spells settings out for a version of cgroups.
func (s settings) files(v2 bool) []file {
	if v2 {
		return []file{
			{ctlCPU, "cpu.weight", number(int64(weight(s.shares)))},
			{ctlCPU, "cpu.max", orMax(s.quota) + " " + strconv.Itoa(quotaPeriod)},
			{ctlMemory, "memory.max", orMax(s.memory)},
			{ctlPIDs, "pids.max", orMax(s.pids)},
		}
	}
	return []file{
		{ctlCPU, "cpu.shares", number(int64(s.shares))},
		{ctlCPU, "cpu.cfs_period_us", strconv.Itoa(quotaPeriod)},
		{ctlCPU, "cpu.cfs_quota_us", number(s.quota)},
		{ctlMemory, "memory.limit_in_bytes", number(s.memory)},
		{ctlPIDs, "pids.max", orMax(s.pids)},
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func orMax(n int64) string {
	if n == none {
		return "max"
	}
	return number(n)
}

// write applies settings to a cgroup, as far as the host has controllers.
func (m *Manager) write(at string, s settings) error {
	var failed []error
	for _, f := range s.files(m.layout.mode == V2) {
		mount, ok := m.layout.hierarchy(f.controller)
		if !ok {
			continue
		}
		if err := writeFile(filepath.Join(mount, at), f.name, f.value); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// writeFile sets a control file that exists.
func writeFile(dir, name, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("set %s to %s: %w", name, value, err)
	}
	_, err = f.WriteString(value)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("set %s to %s: %w", name, value, err)
	}
	return nil
}

// hold replaces a memory limit that the pod already exceeds by the present
// one and says so.
func (m *Manager) hold(ctx context.Context, at string, s *settings) (*pod.Refused, error) {
	if _, ok := m.layout.hierarchy(ctlMemory); !ok || s.memory == none {
		return nil, nil
	}
	now, err := m.read(at)
	if err != nil {
		return nil, err
	}
	if now.memory != none && now.memory <= s.memory {
		return nil, nil
	}
	used, err := m.MemoryUsage(ctx, at)
	if err != nil || used < s.memory {
		return nil, err
	}
	held := &pod.Refused{Reason: "Deferred", Message: fmt.Sprintf(
		"memory limit of the pod: %d bytes are in use, more than the wanted %d: the limit stays at %s until less is used",
		used, s.memory, orMax(now.memory))}
	s.memory = now.memory
	return held, nil
}
