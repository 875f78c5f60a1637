package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// tickNanos is one tick of /proc/stat: the kernel counts a hundred a second
// towards programs, whatever its own clock does.
const tickNanos = 10_000_000

// nodeStats reads what the server uses from a proc file system.
type nodeStats struct{ proc string }

// NodeUsage counts CPU time of user, nice, system, irq and softirq: idle time,
// waiting for disks and what other guests took are not used by this server.
// Memory is the working set as cAdvisor counts it for the root: all that is
// not free, less what the kernel keeps of files that nobody reads.
func (n nodeStats) NodeUsage() (cpuNanos, workingSet uint64, err error) {
	stat, err := os.ReadFile(filepath.Join(n.proc, "stat"))
	if err != nil {
		return 0, 0, fmt.Errorf("read the CPU use of the server: %w", err)
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	columns := strings.Fields(line)
	if len(columns) < 8 || columns[0] != "cpu" {
		return 0, 0, fmt.Errorf("read the CPU use of the server: got %q, want cpu and seven numbers", line)
	}
	for _, i := range []int{1, 2, 3, 6, 7} {
		ticks, err := strconv.ParseUint(columns[i], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read the CPU use of the server: %w", err)
		}
		cpuNanos += ticks * tickNanos
	}
	workingSet, err = n.workingSet()
	return cpuNanos, workingSet, err
}

func (n nodeStats) workingSet() (uint64, error) {
	text, err := os.ReadFile(filepath.Join(n.proc, "meminfo"))
	if err != nil {
		return 0, fmt.Errorf("read the memory use of the server: %w", err)
	}
	kib := map[string]uint64{"MemTotal": 0, "MemFree": 0, "Inactive(file)": 0}
	found := 0
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if _, wanted := kib[name]; !wanted {
			continue
		}
		number := strings.TrimSuffix(strings.TrimSpace(value), " kB")
		if kib[name], err = strconv.ParseUint(number, 10, 64); err != nil {
			return 0, fmt.Errorf("read the memory use of the server: %s: %w", name, err)
		}
		found++
	}
	given := kib["MemFree"] + kib["Inactive(file)"]
	if found < len(kib) || given > kib["MemTotal"] {
		return 0, fmt.Errorf("read the memory use of the server: got %v KiB, want all three, the first as large as the others", kib)
	}
	return (kib["MemTotal"] - given) << 10, nil
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
