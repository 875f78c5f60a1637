package logs

import (
	"fmt"
	"regexp"
	"unicode/utf8"
)

// colour matches a change of colour or weight at the beginning of a text, the
// only sequence that can't harm a terminal.
var colour = regexp.MustCompile(`^\x1b\[[0-9;]{0,32}m`)

// Sanitize appends text to dst with its control characters and invalid UTF-8
// replaced by \xNN and \u00NN, so that output of a container can't command
// the terminal of who reads it. Tabs and changes of colour stay.
func Sanitize(dst, text []byte) []byte {
	for len(text) > 0 {
		if seq := colour.Find(text); seq != nil {
			dst, text = append(dst, seq...), text[len(seq):]
			continue
		}
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\t', r == 0x7f:
			dst = fmt.Appendf(dst, `\x%02x`, text[0])
		case r >= 0x80 && r < 0xa0:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}
