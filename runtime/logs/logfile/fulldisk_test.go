package logfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// smallDisk mounts a file system of the given size for one test.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("logtest", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestAFullDiskDropsWholeLinesAndResumes(t *testing.T) {
	disk := smallDisk(t, 256<<10)
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 128<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	counters := new(logfile.Counters)
	w := newWriter(t, logfile.Config{Path: logfile.Path(filepath.Join(disk, "app"), 0), Counters: counters})

	// Long lines, in pieces, interleaved with short ones of the other stream;
	// freeing the disk in the middle of a long line.
	const lines, removeAt = 60, 40
	var held []byte
	for i := range lines {
		held = append(held, fmt.Sprintf("%04d%s%04d\n", i, strings.Repeat("x", 3*logfile.MaxPiece), i)...)
		half := len(held) - 1000
		used := w.Write(logfile.Stdout, held[:half], false)
		if i == removeAt {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			// What was logged is taken away too, so that all the rest fits.
			if err := os.Truncate(logfile.Path(filepath.Join(disk, "app"), 0), 0); err != nil {
				t.Fatal(err)
			}
		}
		w.Write(logfile.Stderr, fmt.Appendf(nil, "short %d\n", i), false)
		used += w.Write(logfile.Stdout, held[used:], false)
		held = held[:copy(held, held[used:])]
	}
	status := counters.Status()
	if status.DroppedLines == 0 || status.DroppedBytes == 0 {
		t.Errorf("nothing was counted as dropped: %+v", status)
	}
	whole, torn := checkLines(t, filepath.Join(disk, "app"))
	if whole == 0 || torn > 2 {
		t.Errorf("%d whole long lines and %d torn ones, want some, and at most one torn at each change", whole, torn)
	}
}

// checkLines counts the long lines that came whole and those that were cut at
// their end. A line that is spoilt in another way fails the test.
func checkLines(t *testing.T, dir string) (whole, torn int) {
	t.Helper()
	all, _ := contents(t, dir, 0)
	var line []byte
	for raw := range bytes.Lines([]byte(all)) {
		e, ok := logfile.Parse(bytes.TrimSuffix(raw, []byte{'\n'}))
		if !ok {
			t.Fatalf("spoilt entry %.80q", raw)
		}
		if e.Stream == logfile.Stderr {
			continue
		}
		if line = append(line, e.Content...); !e.Full {
			continue
		}
		switch n := len(line); {
		case n == 8+3*logfile.MaxPiece && bytes.Equal(line[:4], line[n-4:]):
			whole++
		case n < 8+3*logfile.MaxPiece && bytes.Count(line, []byte("x")) >= n-4:
			torn++
		default:
			t.Fatalf("two lines became one: %.20q…%.20q of %d bytes", line, line[n-20:], n)
		}
		line = nil
	}
	return whole, torn
}

func TestStatusOnAFullDiskIsAnErrorNotADeath(t *testing.T) {
	disk := smallDisk(t, 4096)
	if err := os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := logfile.CreateStatus(filepath.Join(disk, "status")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want ENOSPC", err)
	}
}
