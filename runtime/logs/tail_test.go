package logs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/runtime/logs"
	"github.com/podstead/podstead/runtime/logs/logfile"
)

func TestTailOfARun(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 0, 300, 100)
	for i := range 50 {
		r.print("line %d", i)
	}
	r.Write(logfile.Stderr, []byte("panic: boom\n"), false)
	cases := []struct {
		lines, bytes int
		want         []string
	}{
		{3, 1000, []string{"line 48", "line 49", "panic: boom"}},
		{1, 1000, []string{"panic: boom"}},
		{10, 5, []string{" boom"}},
		{10, 11, []string{"panic: boom"}},
		{10, 13, []string{"49", "panic: boom"}},
		{0, 10, nil},
	}
	for _, c := range cases {
		got, err := logs.Tail(logs.Path(dir, 0), c.lines, c.bytes)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%d lines, %d bytes: %v %s", c.lines, c.bytes, err, diff)
		}
	}
	if got, err := logs.Tail(logs.Path(dir, 0), 51, 1<<20); err != nil || len(got) != 51 {
		t.Errorf("got %d lines, %v, want all 51", len(got), err)
	}
}

func TestTailOfOneVeryLongLine(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 0, 0, 0)
	line := strings.Repeat("0123456789", 100_000) + "end"
	r.print("%s", line)
	got, err := logs.Tail(logs.Path(dir, 0), 10, 2048)
	if err != nil || len(got) != 1 || got[0] != line[len(line)-2048:] {
		t.Errorf("got %d lines, %v, want the last 2048 bytes of the line", len(got), err)
	}
}

func TestTailWithoutALog(t *testing.T) {
	if got, err := logs.Tail(logs.Path(t.TempDir(), 0), 10, 2048); err != nil || got != nil {
		t.Errorf("got %q, %v, want nothing", got, err)
	}
}

func TestSanitize(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext é 漢":        "plain\ttext é 漢",
		"\x1b[31mred\x1b[0m":     "\x1b[31mred\x1b[0m",
		"\x1b]0;title\x07":       `\x1b]0;title\x07`,
		"\x1b[2Jcleared":         `\x1b[2Jcleared`,
		"back\rward\x08\x7f\x00": `back\x0dward\x08\x7f\x00`,
		"\u009b2J":               `\u009b2J`,
		"bad \xff\xfe utf-8":     `bad \xff\xfe utf-8`,
	} {
		if got := string(logs.Sanitize(nil, []byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
