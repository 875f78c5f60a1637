package logfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
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
	disk := smallDisk(t, 1<<20)
	ballast := filepath.Join(disk, "ballast")
	dir := filepath.Join(disk, "app")
	counters := new(logfile.Counters)
	w := newWriter(t, logfile.Config{Path: logfile.Path(dir, 0), MaxSize: 300_000, MaxFiles: 2, Counters: counters})
	random := rand.New(rand.NewPCG(1, 2))

	// Lines in several pieces, each passed in two parts, interleaved with
	// short ones of the other stream, while the disk is filled and emptied at
	// random, in the middle of lines too.
	seen, torn := 0, 0
	var held []byte
	for i := range 600 {
		held = append(held, longLine(i)...)
		part := random.IntN(len(held))
		used := w.Write(logfile.Stdout, held[:part], false)
		switch random.IntN(6) {
		case 0:
			fill(t, ballast)
		case 1, 2:
			os.Remove(ballast)
		}
		w.Write(logfile.Stderr, fmt.Appendf(nil, "short %d\n", i), false)
		used += w.Write(logfile.Stdout, held[used:], false)
		held = held[:copy(held, held[used:])]
		if i%20 == 19 {
			n, cut := checkLines(t, dir)
			seen, torn = seen+n, torn+cut
		}
	}
	status := counters.Status()
	t.Logf("%d whole lines seen, %d cut, %d dropped", seen, torn, status.DroppedLines)
	if seen == 0 || torn == 0 || status.DroppedLines == 0 || status.DroppedBytes == 0 {
		t.Error("the disk was never full, or never had room: the test has tested nothing")
	}
}

// longLine is a line that tells at both ends which it is.
func longLine(i int) string {
	return fmt.Sprintf("<%04d%s%04d>\n", i, strings.Repeat("x", 3*logfile.MaxPiece), i)
}

// fill uses up a disk to the last byte.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return // not even room for its name
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 64<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// checkLines counts the long lines that are whole and those that were cut at
// their end. A line that is spoilt in another way fails the test: one without
// its beginning, or two that became one. The oldest file may begin in the
// middle of a line, and the newest may end there.
func checkLines(t *testing.T, dir string) (whole, cut int) {
	t.Helper()
	all, _ := contents(t, dir, 0)
	var line []byte
	first := true
	for raw := range bytes.Lines([]byte(all)) {
		e, ok := logfile.Parse(bytes.TrimSuffix(raw, []byte{'\n'}))
		if !ok {
			t.Fatalf("spoilt entry %.80q", raw)
		}
		if e.Stream == logfile.Stderr {
			if !e.Full || !bytes.HasPrefix(e.Content, []byte("short ")) {
				t.Fatalf("spoilt short line %.80q", raw)
			}
			continue
		}
		if line = append(line, e.Content...); !e.Full {
			continue
		}
		var n int
		if _, err := fmt.Sscanf(string(line[:min(len(line), 5)]), "<%04d", &n); err != nil && !first {
			t.Fatalf("a line without its beginning: %.20q…%q", line, line[max(0, len(line)-20):])
		}
		switch want := strings.TrimSuffix(longLine(n), "\n"); {
		case string(line) == want:
			whole++
		case strings.HasPrefix(want, string(line)):
			cut++
		case !first:
			t.Fatalf("%d bytes that were not printed so: %.20q…%q", len(line), line, line[max(0, len(line)-20):])
		}
		line, first = nil, false
	}
	return whole, cut
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
