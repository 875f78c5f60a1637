package bench

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/leaks"
)

// reading is what the programs of a host use at one time.
type reading struct {
	podstead, containerd, shims, loggers usage
	files                                files
}

// usage is that of some processes together.
type usage struct {
	count        int
	resident     int64 // bytes
	proportional int64 // bytes, shared ones divided among their users
	cpu          time.Duration
	written      int64 // bytes, to disk
}

// files are when the files of a host were changed last, by path.
type files map[string]time.Time

func (f files) changed(later files) []string {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(later)) {
		if at, there := f[path]; !there || at != later[path] {
			paths = append(paths, path)
		}
	}
	return paths
}

// take reads what there is. Nobody looks at the memory of many small
// processes but once, since that costs more than all else.
func take(t *testing.T, h *harness.Host) reading {
	t.Helper()
	all, err := leaks.Processes()
	if err != nil {
		t.Fatal(err)
	}
	var r reading
	for _, p := range all {
		if p.State == "Z" {
			continue
		}
		switch name := filepath.Base(p.Command[0]); {
		case p.PID == h.PID():
			r.podstead.add(t, p.PID)
		case !p.Mentions(h.Dir):
		case name == "containerd":
			r.containerd.add(t, p.PID)
		case name == "containerd-shim-runc-v2":
			r.shims.add(t, p.PID)
		case name == "podstead-logger":
			r.loggers.add(t, p.PID)
		}
	}
	r.files = files{}
	err = filepath.WalkDir(h.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// What containers see and write is theirs.
		if path == h.Witness || strings.HasSuffix(path, "/rootfs") || strings.HasSuffix(path, "/snapshots") || d.Name() == "shm" {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err == nil {
			r.files[path] = info.ModTime()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (u *usage) add(t *testing.T, pid int) {
	t.Helper()
	u.count++
	u.resident += keyed(t, pid, "status", "VmRSS:") << 10
	u.proportional += keyed(t, pid, "smaps_rollup", "Pss:") << 10
	u.written += keyed(t, pid, "io", "write_bytes:")
	text := read(t, pid, "stat")
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	for _, ticks := range fields[11:13] {
		n, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		u.cpu += time.Duration(n) * time.Second / ticksPerSecond
	}
}

// ticksPerSecond is USER_HZ, the same on every Linux that Go runs on.
const ticksPerSecond = 100

func read(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// keyed reads the number behind a word.
func keyed(t *testing.T, pid int, file, key string) int64 {
	t.Helper()
	for line := range strings.Lines(read(t, pid, file)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != key {
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Fatalf("no %q in /proc/%d/%s", key, pid, file)
	return 0
}

func loadAverage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))[0]
}
