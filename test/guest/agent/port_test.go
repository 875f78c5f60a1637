package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func TestGreetAnswersTheNewestHelloAlone(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"the first":             {"\npodstead-hello 1\n", "podstead-welcome 1 "},
		"after an earlier talk": {"\x07\x00gob\npodstead-he\npodstead-hello 1\n\npodstead-hello 7\n", "podstead-welcome 7 "},
		"after half a line":     {"rubbish podstead-hello 3\n", "podstead-welcome 3 "},
		"after a long line":     {strings.Repeat("x", 200<<10) + "\npodstead-hello 2\n", "podstead-welcome 2 "},
	} {
		var out bytes.Buffer
		if err := greet(bufio.NewReaderSize(strings.NewReader(c.in), 64<<10), &out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.TrimSpace(out.String()); !strings.HasPrefix(got, c.want) || strings.Count(got, "welcome") != 1 {
			t.Errorf("%s: answered %q, want one line that begins with %q", name, got, c.want)
		}
	}
}
