package probes

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

const (
	// maxMessage bounds what is said of an attempt, in bytes.
	maxMessage = 1 << 10
	// maxSnippet is how much of an answer is repeated, in bytes.
	maxSnippet = 256
)

// clean makes text of any origin fit for a terminal and a log: what can't be
// printed is escaped, and what is too long is cut.
func clean(s string) string {
	if len(s) <= maxMessage && strings.IndexFunc(s, func(c rune) bool { return !strconv.IsPrint(c) || c == utf8.RuneError }) < 0 {
		return s
	}
	var b strings.Builder
	for _, char := range s {
		piece := string(char)
		if !strconv.IsPrint(char) {
			piece = strings.Trim(strconv.QuoteRune(char), "'")
		}
		if b.Len()+len(piece) > maxMessage-len("...") {
			return b.String() + "..."
		}
		b.WriteString(piece)
	}
	return b.String()
}

// snippet quotes the beginning of an answer: `: "text"`, nothing for none.
func snippet(answer []byte) string {
	answer = bytes.TrimSpace(answer)
	if len(answer) == 0 {
		return ""
	}
	if len(answer) <= maxSnippet {
		return ": " + strconv.Quote(string(answer))
	}
	cut := maxSnippet
	for cut > maxSnippet-utf8.UTFMax && !utf8.RuneStart(answer[cut]) {
		cut--
	}
	return ": " + strconv.Quote(string(answer[:cut])) + "..."
}

// inWords says why a connection failed without the addresses that Go puts
// around it: the local port is another one each time.
func inWords(err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return dns.Error()
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection ended in the middle of the answer"
	case errors.Is(err, io.EOF):
		return "the connection ended without an answer"
	default:
		return err.Error()
	}
}
