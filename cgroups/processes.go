package cgroups

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/podstead/podstead/pod"
)

// maxSampled bounds how many processes of a cgroup are looked into, and
// maxDescriptors how many descriptors of each.
const (
	maxSampled     = 64
	maxDescriptors = 4096
)

// Processes counts the processes of a cgroup itself, and what the first 64 of
// them hold open: file descriptors and, among these, sockets. Processes that
// end meanwhile do not count. It looks into every process, so it is not for
// the path of a scrape.
func (m *Manager) Processes(ctx context.Context, at string) (pod.ProcessStats, error) {
	var s pod.ProcessStats
	if err := m.inside(at); err != nil {
		return s, err
	}
	mount := m.layout.unified
	if m.layout.mode != V2 {
		mount = m.layout.v1[ctlMemory]
		if mount == "" {
			mount = m.layout.all[0]
		}
	}
	text, err := readFile(filepath.Join(mount, at, "cgroup.procs"))
	if err != nil {
		return s, fmt.Errorf("list processes of cgroup %s: %w", at, err)
	}
	pids := bytes.Fields(text)
	for _, pid := range pids[:min(len(pids), maxSampled)] {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		fds, socks := descriptorsOf("/proc/" + string(pid) + "/fd")
		s.FileDescriptors, s.Sockets = s.FileDescriptors+fds, s.Sockets+socks
	}
	s.Processes = int64(len(pids))
	return s, nil
}

func descriptorsOf(dir string) (all, sockets int64) {
	d, err := os.Open(dir)
	if err != nil {
		return 0, 0
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxDescriptors) // what could be read counts
	for _, name := range names {
		if to, err := os.Readlink(filepath.Join(dir, name)); err == nil && strings.HasPrefix(to, "socket:") {
			sockets++
		}
	}
	return int64(len(names)), sockets
}
