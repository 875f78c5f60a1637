package names

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/podstead/podstead/internal/process"
)

// runs tells whether a process runs a program as it is in its file now, and not
// one that was replaced.
func runs(p *process.Process, binary string) bool {
	has, err := os.Stat(fmt.Sprintf("/proc/%d/exe", p.PID))
	if err != nil {
		return false
	}
	file, err := os.Stat(binary)
	return err != nil || os.SameFile(has, file) // Without a file there is no other one to run.
}

// find returns the processes that serve a folder, the one that was started
// last at the end.
func find(dir string) []*process.Process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if serves(pid, dir) {
			pids = append(pids, pid)
		}
	}
	slices.SortFunc(pids, func(a, b int) int { return startTime(a) - startTime(b) })
	var list []*process.Process
	for _, pid := range pids {
		if p, err := process.Open(pid); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// serves tells whether a process is the server of a folder, started by us:
// anybody can give a process any arguments, and nobody a user that is not
// theirs.
func serves(pid int, dir string) bool {
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.HasPrefix(args, []byte(program+"\x00--dir\x00"+dir+"\x00")) {
		return false
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return false
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	name, _ := strings.CutSuffix(filepath.Base(exe), " (deleted)")
	return err == nil && name == program && (owner == uint32(os.Geteuid()) || owner == nobody)
}

// startTime is when a process was started, in ticks since boot.
func startTime(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may have blanks; the start is the 20th field after it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0
	}
	ticks, _ := strconv.Atoi(string(fields[19]))
	return ticks
}
