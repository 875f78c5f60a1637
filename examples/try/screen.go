package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen keeps a table at the end of what it prints, and draws it anew in its
// place. Where that can't be, because the output is no terminal or the table
// does not fit, it prints the table again when more than the ages changed.
type screen struct {
	out io.Writer
	// size is that of the terminal, in columns and rows; ok is false where
	// the output is none.
	size func() (width, height int, ok bool)
	// shown is the table that stands at the end and can be drawn over.
	shown string
	// told is the table that was printed last, without the ages.
	told string
}

func newScreen(f *os.File) *screen {
	return &screen{out: f, size: func() (width, height int, ok bool) {
		width, height, err := term.GetSize(int(f.Fd()))
		return width, height, err == nil && width > 0
	}}
}

// say prints a text that stays; the table follows it when it is drawn next.
func (s *screen) say(text string) {
	fmt.Fprint(s.out, s.erase()+text)
}

func (s *screen) draw(table string) {
	width, height, ok := s.size()
	if ok && rows(table, width) < height {
		if table != s.shown {
			fmt.Fprint(s.out, s.erase()+table)
			s.shown, s.told = table, withoutAges(table)
		}
		return
	}
	if told := withoutAges(table); told != s.told {
		fmt.Fprint(s.out, s.erase()+table)
		s.told = told
	}
}

// erase returns what takes the shown table from the screen. One that does not
// fit any more, since the terminal became smaller, stays.
func (s *screen) erase() string {
	width, height, ok := s.size()
	n := rows(s.shown, max(width, 1))
	s.shown = ""
	if !ok || n == 0 || n >= height {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", n)
}

// rows is how many rows of the screen a text of whole lines takes.
func rows(text string, width int) int {
	n := 0
	for line := range strings.Lines(text) {
		columns := utf8.RuneCountInString(strings.TrimSuffix(line, "\n"))
		n += max(1, (columns+width-1)/width)
	}
	return n
}

// ages are the parts of the table that change all the time.
var ages = regexp.MustCompile(`(?m)( +\([^)]* ago\))? +\S+$`)

func withoutAges(table string) string { return ages.ReplaceAllString(table, "") }
