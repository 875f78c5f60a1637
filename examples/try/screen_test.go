package main

import (
	"strings"
	"testing"
)

func fixed(width, height int, ok bool) func() (int, int, bool) {
	return func() (int, int, bool) { return width, height, ok }
}

// A line that is wider than the terminal takes several rows, and the table is
// drawn over all of them and nothing else.
func TestTableIsDrawnOverItsRows(t *testing.T) {
	var out strings.Builder
	s := screen{out: &out, size: fixed(10, 24, true)}
	s.draw("0123456789\n01234567890\n\n") // 1, 2 and 1 rows
	out.Reset()
	s.draw("0123456789\n01234567890\n\n")
	if out.String() != "" {
		t.Errorf("an unchanged table printed %q", out.String())
	}
	s.draw("new\n")
	if got, want := out.String(), "\x1b[4A\r\x1b[Jnew\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	out.Reset()
	s.say("hello\n")
	s.draw("new\n")
	if got, want := out.String(), "\x1b[1A\r\x1b[Jhello\nnew\n"; got != want {
		t.Errorf("got %q, want the text above the table: %q", got, want)
	}
}

// What can't be drawn over is printed again only for more than an age.
func TestTableIsPrintedAgainWhenItChanges(t *testing.T) {
	for name, size := range map[string]func() (int, int, bool){
		"no terminal": fixed(0, 0, false),
		"low":         fixed(80, 2, true),
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			s := screen{out: &out, size: size}
			for _, table := range []string{
				"NAME STATUS AGE\nweb Running 1s\n", "NAME STATUS AGE\nweb Running 2s\n",
				"NAME STATUS AGE\nweb Failed (1s ago) 3s\n", "NAME STATUS AGE\nweb Failed (2s ago) 4s\n",
			} {
				s.draw(table)
			}
			want := "NAME STATUS AGE\nweb Running 1s\nNAME STATUS AGE\nweb Failed (1s ago) 3s\n"
			if out.String() != want {
				t.Errorf("got %q, want %q", out.String(), want)
			}
		})
	}
}
