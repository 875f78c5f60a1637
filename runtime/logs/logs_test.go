package logs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/runtime/logs"
	"github.com/podstead/podstead/runtime/logs/logfile"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// run writes the output of one run of a container, one entry a second.
type run struct {
	*logfile.Writer
	now *time.Time
}

func newRun(t *testing.T, dir string, attempt int, maxSize int64, maxFiles int) run {
	t.Helper()
	now := noon.Add(-time.Second) // opening asks once
	w, err := logfile.NewWriter(logfile.Config{Path: logs.Path(dir, attempt), MaxSize: maxSize, MaxFiles: maxFiles,
		Now: func() time.Time { now = now.Add(time.Second); return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return run{w, &now}
}

func (r run) print(format string, args ...any) {
	r.Write(logfile.Stdout, fmt.Appendf(nil, format+"\n", args...), false)
}

func read(t *testing.T, o logs.Options) string {
	t.Helper()
	var out strings.Builder
	if err := logs.Read(t.Context(), &out, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

func TestReadMergesRotatedFiles(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 0, 500, 100)
	for i := range 100 {
		r.print("line %d", i)
	}
	if diff := cmp.Diff(numbered(0, 100), read(t, logs.Options{Dir: dir})); diff != "" {
		t.Error(diff)
	}
}

func TestTailAcrossFiles(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 0, 500, 100)
	for i := range 100 {
		r.print("line %d", i)
	}
	for _, n := range []int64{0, 1, 2, 7, 10, 11, 50, 99, 100, 101, 5000} {
		want := numbered(max(0, 100-int(n)), 100)
		if diff := cmp.Diff(want, read(t, logs.Options{Dir: dir, Tail: &n})); diff != "" {
			t.Errorf("tail %d: %s", n, diff)
		}
	}
}

func TestTailOfLinesLongerThanABlock(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 0, 1<<20, 10)
	var want []string
	for i := range 12 {
		line := strings.Repeat(string(rune('a'+i)), 7*logfile.MaxPiece-3+i)
		want = append(want, line)
		r.print("%s", line)
	}
	for n := int64(1); n <= 12; n++ {
		got := read(t, logs.Options{Dir: dir, Tail: &n})
		if got != strings.Join(want[12-n:], "\n")+"\n" {
			t.Errorf("tail %d: got %d bytes from %.3q", n, len(got), got)
		}
	}
}

func TestTimestampsSinceAndLimit(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 0, 0, 0)
	for i := range 5 {
		r.print("line %d", i)
	}
	since := noon.Add(4 * time.Second) // the first line is one second after noon
	if diff := cmp.Diff(numbered(3, 5), read(t, logs.Options{Dir: dir, Since: since})); diff != "" {
		t.Error("since:", diff)
	}
	want := "2026-01-02T12:00:04Z line 3\n2026-01-02T12:00:05Z line 4\n"
	if diff := cmp.Diff(want, read(t, logs.Options{Dir: dir, Since: since, Timestamps: true})); diff != "" {
		t.Error("timestamps:", diff)
	}
	if diff := cmp.Diff("line 0\nli", read(t, logs.Options{Dir: dir, Limit: 9})); diff != "" {
		t.Error("limit:", diff)
	}
}

func TestStreamsDoNotGetIntoEachOthersLines(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 0, 0, 0)
	long := strings.Repeat("x", 2*logfile.MaxPiece+5)
	used := r.Write(logfile.Stdout, []byte(long), false)
	r.Write(logfile.Stderr, []byte("oops\n"), false)
	r.Write(logfile.Stdout, []byte(long[used:]+"\n"), false)
	if got := read(t, logs.Options{Dir: dir}); got != "oops\n"+long+"\n" {
		t.Errorf("got %d bytes: %.10q", len(got), got)
	}
}

func TestWhichRunIsRead(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{2, 3, 10} {
		newRun(t, dir, n, 0, 0).print("run %d", n)
	}
	cases := []struct {
		o    logs.Options
		want string
	}{
		{logs.Options{Attempt: logs.Newest}, "run 10\n"},
		{logs.Options{Attempt: 3}, "run 3\n"},
		{logs.Options{Attempt: logs.Newest, Previous: true}, "run 3\n"},
		{logs.Options{Attempt: 3, Previous: true}, "run 2\n"},
		// A run that has no log yet may still have a previous one.
		{logs.Options{Attempt: 11, Previous: true, Follow: true}, "run 10\n"},
	}
	for _, c := range cases {
		c.o.Dir = dir
		if got := read(t, c.o); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.o, got, c.want)
		}
	}
	for _, o := range []logs.Options{{Dir: dir, Attempt: 4}, {Dir: dir, Attempt: 2, Previous: true}, {Dir: dir + "/none"}} {
		if err := logs.Read(t.Context(), new(strings.Builder), o); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%+v: got error %v, want fs.ErrNotExist", o, err)
		}
	}
}

func TestAnUnfinishedEntryIsShownOnlyWhenItsRunIsOver(t *testing.T) {
	dir := t.TempDir()
	torn := "2026-01-02T12:00:00Z stdout F to"
	write(t, logs.Path(dir, 0), "2026-01-02T12:00:00Z stdout F one\n"+torn)
	if got := read(t, logs.Options{Dir: dir}); got != "one\n" {
		t.Errorf("while it is written: got %q", got)
	}
	if got := read(t, logs.Options{Dir: dir, Ended: func() bool { return true }}); got != "one\nto\n" {
		t.Errorf("after the end: got %q", got)
	}
	if got := read(t, logs.Options{Dir: dir, Follow: true, Ended: func() bool { return true }}); got != "one\nto\n" {
		t.Errorf("following after the end: got %q", got)
	}
}

func TestFollowLosesAndDoublesNothing(t *testing.T) {
	dir := t.TempDir()
	const runs, lines = 5, 4000
	newRun(t, dir, 0, 0, 0).print("first")
	var ended atomic.Bool
	got := newLines()
	var reader sync.WaitGroup
	reader.Go(func() {
		if err := logs.Read(t.Context(), got, logs.Options{Dir: dir, Attempt: 0, Follow: true, Ended: ended.Load}); err != nil {
			t.Error(err)
		}
	})
	got.waitFor(t, "first")
	// Rotated every hundred lines or so, with files enough that none is
	// deleted before it is read.
	for n := range runs {
		r := newRun(t, dir, n, 5000, 1000)
		for i := range lines {
			r.print("run %d line %d", n, i)
		}
		r.Close()
	}
	ended.Store(true)
	reader.Wait()
	var want strings.Builder
	want.WriteString("first\n")
	for n := range runs {
		for i := range lines {
			fmt.Fprintf(&want, "run %d line %d\n", n, i)
		}
	}
	if text := got.String(); text != want.String() {
		t.Errorf("got %d bytes, want %d", len(text), want.Len())
	}
}

func TestFollowSeesALineSoon(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 0, 100, 3)
	r.print("start")
	ctx, cancel := context.WithCancel(t.Context())
	got := newLines()
	var reader sync.WaitGroup
	reader.Go(func() {
		if err := logs.Read(ctx, got, logs.Options{Dir: dir, Follow: true}); !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want the context's", err)
		}
	})
	got.waitFor(t, "start")
	// Each second line rotates; the reader keeps up since it is waited for,
	// so that not even files which are deleted at once are missed.
	for i := range 20 {
		r.print("line %d of a good length", i)
		got.waitFor(t, fmt.Sprintf("line %d of a good length", i))
	}
	cancel()
	reader.Wait()
}

func TestReadingAFloodEnds(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 0, 1<<20, 3)
	r.print("start")
	var stop atomic.Bool
	var flood sync.WaitGroup
	flood.Go(func() {
		for i := 0; !stop.Load(); i++ {
			r.print("line %d", i)
		}
	})
	for range 20 {
		read(t, logs.Options{Dir: dir})
	}
	stop.Store(true)
	flood.Wait()
}

func TestPruneKeepsTheNewestRuns(t *testing.T) {
	dir := t.TempDir()
	for n := range 4 {
		r := newRun(t, dir, n, 100, 3)
		for i := range 10 {
			r.print("line %d", i)
		}
	}
	if err := logs.Prune(dir, 2); err != nil {
		t.Fatal(err)
	}
	got, err := logfile.Attempts(dir)
	if diff := cmp.Diff([]int{2, 3}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if paths, _ := logfile.List(dir, 1); len(paths) > 0 {
		t.Errorf("left over: %q", paths)
	}
}

func TestTailSeesPiecesThatBeginAtTheEndOfABlock(t *testing.T) {
	// Blocks are counted from the end of the file: the head of the first piece
	// of the long line is moved over the border of one, byte by byte.
	const block, head = 64 << 10, 50
	long := strings.Repeat("x", logfile.MaxPiece+10)
	longSize := len(long) + 2*logfile.Overhead
	for shift := -head; shift <= head; shift++ {
		dir := t.TempDir()
		r := newRun(t, dir, 0, 0, 0)
		r.print("first")
		r.print("%s", long)
		rest := block + shift - longSize
		for range 3 {
			r.print("%s", strings.Repeat("y", 12_000))
			rest -= 12_000 + logfile.Overhead
		}
		r.print("%s", strings.Repeat("z", rest-logfile.Overhead))
		five := int64(5)
		if got := read(t, logs.Options{Dir: dir, Tail: &five}); !strings.HasPrefix(got, long+"\n") {
			t.Fatalf("shift %d: the tail begins with %d bytes of %.10q", shift, strings.IndexByte(got, '\n'), got)
		}
	}
}
