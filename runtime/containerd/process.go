package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// readPID reads the file that names the process; 0 where there is none.
func readPID(path string) (int, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, nil
	}
	return pid, nil
}

// runsConfig tells whether a process is a containerd with this configuration
// file: the number alone may belong to anybody by now.
func runsConfig(pid int, config string) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	args := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	for i, a := range args {
		if a == "--config" && i+1 < len(args) && args[i+1] == config {
			return !isZombie(pid)
		}
	}
	return false
}

func isZombie(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')'):]), ") ")
	return !ok || strings.HasPrefix(rest, "Z")
}

// find looks for the process with this configuration file among all, for when
// the file that names it is lost.
func find(config string) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && runsConfig(pid, config) {
			return pid
		}
	}
	return 0
}

// protect makes the kernel spare a process when memory runs out, and returns
// what keeps it from that, in words. Where the right to lower the score is
// missing, containerd does without.
func protect(pid int) string {
	path := filepath.Join("/proc", strconv.Itoa(pid), "oom_score_adj")
	now, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(now)) == strconv.Itoa(oomScore) {
		return ""
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(oomScore)), 0); err != nil {
		return fmt.Sprintf("containerd keeps oom_score_adj %s instead of %d, so it may be killed when memory runs out: %v",
			strings.TrimSpace(string(now)), oomScore, err)
	}
	return ""
}
