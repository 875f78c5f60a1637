package logfile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// noon is the time of every entry in these tests.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 5, time.UTC)

func fixed() time.Time { return noon }

func newWriter(t *testing.T, cfg logfile.Config) *logfile.Writer {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = fixed
	}
	w, err := logfile.NewWriter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// contents returns the run's files joined, oldest first, and their number.
func contents(t *testing.T, dir string, attempt int) (string, int) {
	t.Helper()
	paths, err := logfile.List(dir, attempt)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String(), len(paths)
}

func TestEntriesAreInTheCRIFormat(t *testing.T) {
	dir := t.TempDir()
	w := newWriter(t, logfile.Config{Path: logfile.Path(dir, 3)})
	if used := w.Write(logfile.Stdout, []byte("one\n\ntwo\nunfinished"), false); used != len("one\n\ntwo\n") {
		t.Errorf("used %d bytes, want the whole lines only", used)
	}
	w.Write(logfile.Stderr, []byte("oops\r\nend"), true)
	got, _ := contents(t, dir, 3)
	const at = "2026-01-02T12:00:00.000000005Z "
	want := at + "stdout F one\n" + at + "stdout F \n" + at + "stdout F two\n" +
		at + "stderr F oops\r\n" + at + "stderr F end\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLongLinesAreSplit(t *testing.T) {
	for _, extra := range []int{-1, 0, 1, logfile.MaxPiece, logfile.MaxPiece + 1} {
		t.Run(fmt.Sprint(extra), func(t *testing.T) {
			dir := t.TempDir()
			w := newWriter(t, logfile.Config{Path: logfile.Path(dir, 0)})
			line := bytes.Repeat([]byte{'x'}, logfile.MaxPiece+extra)
			w.Write(logfile.Stdout, append(line, '\n'), false)
			got, _ := contents(t, dir, 0)
			var joined []byte
			entries := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
			for i, raw := range entries {
				e, ok := logfile.Parse([]byte(raw))
				if !ok || len(e.Content) > logfile.MaxPiece || e.Full != (i == len(entries)-1) {
					t.Errorf("entry %d: parsed %v, full %v, %d bytes", i, ok, e.Full, len(e.Content))
				}
				joined = append(joined, e.Content...)
			}
			if !bytes.Equal(joined, line) {
				t.Errorf("got %d bytes back, want %d", len(joined), len(line))
			}
		})
	}
}

func TestRotationKeepsEveryLineWithinTheCount(t *testing.T) {
	dir := t.TempDir()
	const files, size = 4, 2000
	// The clock goes backwards: the order of the files must not.
	now := noon
	w := newWriter(t, logfile.Config{Path: logfile.Path(dir, 0), MaxSize: size, MaxFiles: files,
		Now: func() time.Time { now = now.Add(-time.Minute); return now }})
	const lines = 500
	for i := range lines {
		w.Write(logfile.Stdout, fmt.Appendf(nil, "line %d\n", i), false)
		if _, n := contents(t, dir, 0); n > files {
			t.Fatalf("%d files after line %d, want at most %d", n, i, files)
		}
	}
	all, n := contents(t, dir, 0)
	if n != files {
		t.Errorf("%d files, want %d", n, files)
	}
	got := strings.Split(strings.TrimSuffix(all, "\n"), "\n")
	if len(got) < (files-1)*size/60 {
		t.Fatalf("%d lines kept, too few for %d files of %d bytes", len(got), files, size)
	}
	for i, raw := range got {
		e, _ := logfile.Parse([]byte(raw))
		if want := fmt.Sprintf("line %d", lines-len(got)+i); string(e.Content) != want {
			t.Fatalf("kept line %d is %q, want %q", i, raw, want)
		}
	}
	paths, _ := logfile.List(dir, 0)
	for _, p := range paths {
		if info, err := os.Stat(p); err != nil || info.Size() > size {
			t.Errorf("%s: %v bytes, %v, want at most %d", p, info.Size(), err, size)
		}
	}
}

func TestRotationToASingleFile(t *testing.T) {
	dir := t.TempDir()
	w := newWriter(t, logfile.Config{Path: logfile.Path(dir, 0), MaxSize: 100, MaxFiles: 1})
	for i := range 10 {
		w.Write(logfile.Stdout, fmt.Appendf(nil, "line %d\n", i), false)
	}
	if got, n := contents(t, dir, 0); n != 1 || !strings.HasSuffix(got, "line 9\n") {
		t.Errorf("%d files with %q, want one with the last line", n, got)
	}
}

func TestATornLineIsEndedAtOpening(t *testing.T) {
	dir := t.TempDir()
	path := logfile.Path(dir, 0)
	if err := os.WriteFile(path, []byte("2026-01-02T11:00:00Z stdout F ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWriter(t, logfile.Config{Path: path})
	w.Write(logfile.Stdout, []byte("next\n"), false)
	got, _ := contents(t, dir, 0)
	want := "2026-01-02T11:00:00Z stdout F ha\n2026-01-02T12:00:00.000000005Z stdout F next\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestForeignFilesAreNotWrittenTo(t *testing.T) {
	for name, plant := range map[string]func(victim, path string) error{
		"symlink":  os.Symlink,
		"hardlink": os.Link,
		"fifo":     func(_, path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			victim, path := filepath.Join(dir, "victim"), logfile.Path(dir, 0)
			if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := plant(victim, path); err != nil {
				t.Fatal(err)
			}
			counters := new(logfile.Counters)
			w := newWriter(t, logfile.Config{Path: path, Counters: counters})
			w.Write(logfile.Stdout, []byte("attack\n"), false)
			if got, _ := os.ReadFile(victim); string(got) != "mine" {
				t.Errorf("the other file is now %q", got)
			}
			if got := counters.Status(); got.DroppedLines != 1 {
				t.Errorf("dropped %d lines, want 1", got.DroppedLines)
			}
		})
	}
}

func TestADeletedFileIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	w := newWriter(t, logfile.Config{Path: logfile.Path(dir, 0)})
	w.Write(logfile.Stdout, []byte("lost\n"), false)
	if err := os.Remove(logfile.Path(dir, 0)); err != nil {
		t.Fatal(err)
	}
	w.Write(logfile.Stdout, []byte("seen\n"), false)
	if got, _ := contents(t, dir, 0); !strings.HasSuffix(got, "stdout F seen\n") {
		t.Errorf("log is %q, want the line after the deletion", got)
	}
}

func TestBadPaths(t *testing.T) {
	for _, path := range []string{"", "/x/app.log", "/x/0.log.20260102-120000.000000000", "/x/00.log", "/x/-1.log"} {
		if _, err := logfile.NewWriter(logfile.Config{Path: path}); err == nil {
			t.Errorf("path %q was accepted", path)
		}
	}
}
