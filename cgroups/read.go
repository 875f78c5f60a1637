package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// errGone is what reading a file of a cgroup gives that is being removed.
var errGone = unix.ENODEV

// noLimitV1 and more is what cgroup v1 shows for "no memory limit": the
// largest number of whole pages.
const noLimitV1 = math.MaxInt64 - 1<<20

// read returns the settings that a cgroup has now. What the host has no
// controller for reads as not limited.
func (m *Manager) read(at string) (settings, error) {
	s := settings{shares: minShares, quota: none, memory: none, pids: none}
	var failed []error
	for controller, get := range map[string]func(dir string) error{
		ctlCPU: func(dir string) (err error) {
			if s.shares, err = m.readShares(dir); err != nil {
				return err
			}
			s.quota, err = m.readQuota(dir)
			return err
		},
		ctlMemory: func(dir string) (err error) {
			s.memory, err = m.readMemoryLimit(dir)
			return err
		},
		ctlPIDs: func(dir string) (err error) {
			s.pids, err = readNumber(dir, "pids.max")
			return err
		},
	} {
		mount, ok := m.layout.hierarchy(controller)
		if !ok {
			continue
		}
		failed = append(failed, get(filepath.Join(mount, at)))
	}
	return s, errors.Join(failed...)
}

func (m *Manager) readShares(dir string) (uint64, error) {
	if m.layout.mode == V2 {
		w, err := readNumber(dir, "cpu.weight")
		return sharesOf(uint64(max(0, w))), err
	}
	s, err := readNumber(dir, "cpu.shares")
	return uint64(max(0, s)), err
}

// readQuota returns the quota scaled to our period.
func (m *Manager) readQuota(dir string) (int64, error) {
	if m.layout.mode == V2 {
		fields, err := readFields(filepath.Join(dir, "cpu.max"))
		if err != nil {
			return none, err
		}
		if len(fields) != 2 {
			return none, fmt.Errorf("read cpu.max of %s: got %q, want a quota and a period", dir, fields)
		}
		q, err1 := parse(fields[0])
		period, err2 := parse(fields[1])
		return scale(q, period), errors.Join(err1, err2)
	}
	q, err1 := readNumber(dir, "cpu.cfs_quota_us")
	period, err2 := readNumber(dir, "cpu.cfs_period_us")
	return scale(q, period), errors.Join(err1, err2)
}

func scale(quota, period int64) int64 {
	if quota < 0 || period <= 0 {
		return none
	}
	return int64(math.Ceil(float64(quota) * quotaPeriod / float64(period)))
}

func (m *Manager) readMemoryLimit(dir string) (int64, error) {
	if m.layout.mode == V2 {
		return readNumber(dir, "memory.max")
	}
	n, err := readNumber(dir, "memory.limit_in_bytes")
	if n >= noLimitV1 {
		n = none
	}
	return n, err
}

// readNumber reads a file of one number; "max" reads as none.
func readNumber(dir, name string) (int64, error) {
	fields, err := readFields(filepath.Join(dir, name))
	if err != nil {
		return none, err
	}
	if len(fields) != 1 {
		return none, fmt.Errorf("read %s of %s: got %q, want a number", name, dir, fields)
	}
	return parse(fields[0])
}

func parse(text string) (int64, error) {
	if text == "max" {
		return none, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) && n > 0 {
		return n, nil
	}
	return n, err
}

func readFields(path string) ([]string, error) {
	data, err := readFile(path)
	return strings.Fields(string(data)), err
}

// readFile reads a file of the kernel to its end. What os.ReadFile does besides
// costs more than most of them: it looks at the file and hands it to the
// poller.
func readFile(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	// Lists alone come in pieces; all else of a cgroup is whole in one read, so
	// that nobody has to ask for its end.
	list := strings.HasSuffix(path, ".procs")
	var chunk [4096]byte
	var data []byte
	for {
		n, err := unix.Read(fd, chunk[:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return data, nil
		default:
			data = append(data, chunk[:n]...)
		}
		if !list && n > 0 && n < len(chunk) {
			return data, nil
		}
	}
}

// hasChildren tells whether a cgroup has any cgroup below it, anywhere.
func (m *Manager) hasChildren(at string) bool {
	for _, mount := range m.layout.all {
		if names, err := children(filepath.Join(mount, at)); err == nil && len(names) > 0 {
			return true
		}
	}
	return false
}

// children lists the cgroups directly below one. None there is no error.
func children(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
