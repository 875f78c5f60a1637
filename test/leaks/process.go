package leaks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Process is a process of this PID namespace.
type Process struct {
	PID, Parent int
	Name        string
	State       string
	Command     []string
}

// Processes returns all processes that can be seen.
func Processes() ([]Process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, dir := range dirs {
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // it has ended
		}
		command, _ := os.ReadFile(dir + "/cmdline")
		if p, ok := parseStat(string(stat)); ok {
			p.Command = strings.Split(string(bytes.TrimRight(command, "\x00")), "\x00")
			all = append(all, p)
		}
	}
	return all, nil
}

// parseStat reads "PID (NAME) STATE PPID …"; the name may hold anything.
func parseStat(stat string) (Process, bool) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return Process{}, false
	}
	rest := strings.Fields(stat[end+1:])
	pid, err := strconv.Atoi(strings.TrimSpace(stat[:open]))
	if err != nil || len(rest) < 2 {
		return Process{}, false
	}
	parent, err := strconv.Atoi(rest[1])
	return Process{PID: pid, Parent: parent, Name: stat[open+1 : end], State: rest[0]}, err == nil
}

// Mentions tells whether a process has a path in its command line, or one
// below it. /tmp/h1 is not mentioned by /tmp/h12.
func (p Process) Mentions(path string) bool {
	rest := strings.Join(p.Command, " ")
	for found := true; ; {
		if _, rest, found = strings.Cut(rest, path); !found {
			return false
		}
		if next, _ := utf8.DecodeRuneInString(rest); rest == "" || !strings.ContainsRune("-_.", next) && !unicode.IsLetter(next) && !unicode.IsDigit(next) {
			return true
		}
	}
}

// processes returns the names of our processes and of all zombies.
func processes(ours string) ([]string, error) {
	all, err := Processes()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, p := range all {
		switch {
		case p.State == "Z":
			found = append(found, "zombie "+p.Name)
		case ours != "" && p.PID != os.Getpid() && p.Mentions(ours):
			found = append(found, p.Name)
		}
	}
	return found, nil
}

// Descriptors counts what a process has open.
func Descriptors(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries), err
}
