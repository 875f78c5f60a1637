package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// nodeStats reads what the server uses from a proc file system.
type nodeStats struct{ proc string }

// Node counts CPU time of user, nice, system, irq and softirq: idle time,
// waiting for disks and what other guests took are not used by this server.
// Memory is the working set as cAdvisor counts it for the root: all that is
// not free, less what the kernel keeps of files that nobody reads.
func (n nodeStats) Node(context.Context) (pod.NodeStats, error) {
	proc, err := procfs.NewFS(n.proc)
	if err != nil {
		return pod.NodeStats{}, fmt.Errorf("read the use of this server: %w", err)
	}
	cpu, err1 := proc.Stat()
	memory, err2 := proc.Meminfo()
	if err := errors.Join(err1, err2); err != nil {
		return pod.NodeStats{}, fmt.Errorf("read the use of this server: %w", err)
	}
	if memory.MemTotalBytes == nil || memory.MemFreeBytes == nil || memory.InactiveFileBytes == nil {
		return pod.NodeStats{}, fmt.Errorf("read the use of this server: %s/meminfo lacks MemTotal, MemFree or Inactive(file)", n.proc)
	}
	t := cpu.CPUTotal
	s := pod.NodeStats{
		CPU:        time.Duration((t.User + t.Nice + t.System + t.IRQ + t.SoftIRQ) * float64(time.Second)),
		WorkingSet: max(0, int64(*memory.MemTotalBytes)-int64(*memory.MemFreeBytes)-int64(*memory.InactiveFileBytes)),
	}
	if memory.SwapTotalBytes != nil {
		s.Swap = int64(*memory.SwapTotalBytes)
	}
	return s, nil
}

// NodeUsage is Node for the API.
func (n nodeStats) NodeUsage() (cpuNanos, workingSet uint64, err error) {
	s, err := n.Node(context.Background())
	return uint64(s.CPU.Nanoseconds()), uint64(s.WorkingSet), err
}

// nodeInfo is what the kernel and /etc/os-release tell; what they don't is
// left empty.
func nodeInfo() corev1.NodeSystemInfo {
	info := corev1.NodeSystemInfo{OperatingSystem: goruntime.GOOS, Architecture: goruntime.GOARCH}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		info.KernelVersion = unix.ByteSliceToString(name.Release[:])
	}
	release, _ := os.ReadFile("/etc/os-release")
	info.OSImage = osImage(string(release))
	if id, err := os.ReadFile("/etc/machine-id"); err == nil {
		info.MachineID = strings.TrimSpace(string(id))
	}
	return info
}

func osImage(release string) string {
	for line := range strings.Lines(release) {
		if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return strings.Trim(strings.TrimSpace(name), `"'`)
		}
	}
	return ""
}
