// Package logfile holds the format of container logs on disk, and the writer
// that podstead-logger is made of. It imports the standard library alone: one
// logger runs for every container, so what it links is multiplied.
package logfile

import (
	"bytes"
	"time"
)

// TimeFormat is RFC 3339 with nanoseconds of fixed width, always in UTC, so
// that every entry has its parts at the same offsets.
const TimeFormat = "2006-01-02T15:04:05.000000000Z"

// MaxPiece is the most content in bytes that one entry carries. A longer line
// is split into entries tagged P, of which the last is tagged F.
const MaxPiece = 16 << 10

// Stream is one of a container's outputs.
type Stream int

// The streams of a container.
const (
	Stdout Stream = iota
	Stderr
)

// String returns the name that entries bear.
func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// Offsets in an entry that this package wrote: "TIME stdout F content\n".
const (
	streamAt  = len(TimeFormat) + 1
	tagAt     = streamAt + len("stdout") + 1
	headerLen = tagAt + len("F ")
)

// Overhead is what an entry adds to its content, in bytes.
const Overhead = headerLen + 1

// Entry is one line of a log file in the CRI format.
type Entry struct {
	Time   time.Time
	Stream Stream
	// Full is false when the line goes on in the next entry of its stream.
	Full bool
	// Content has no line end. It shares memory with what was parsed.
	Content []byte
}

// Parse reads one line without its line end. ok is false when it is not in
// the CRI format.
func Parse(line []byte) (e Entry, ok bool) {
	stamp, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		return Entry{}, false
	}
	stream, rest, ok := bytes.Cut(rest, []byte{' '})
	if !ok {
		return Entry{}, false
	}
	tag, content, _ := bytes.Cut(rest, []byte{' '})
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return Entry{}, false
	}
	e = Entry{Time: at, Content: content}
	switch string(stream) {
	case "stdout":
	case "stderr":
		e.Stream = Stderr
	default:
		return Entry{}, false
	}
	// More tags may follow the first, separated by colons.
	switch tag, _, _ := bytes.Cut(tag, []byte{':'}); string(tag) {
	case "F":
		e.Full = true
	case "P":
	default:
		return Entry{}, false
	}
	return e, true
}

// appendEntry appends one entry; stamp is formatted by TimeFormat.
func appendEntry(dst, stamp []byte, s Stream, full bool, content []byte) []byte {
	dst = append(dst, stamp...)
	dst = append(dst, ' ')
	dst = append(dst, s.String()...)
	if full {
		dst = append(dst, " F "...)
	} else {
		dst = append(dst, " P "...)
	}
	dst = append(dst, content...)
	return append(dst, '\n')
}

// EndsLine tells from the beginning of an entry, at least Overhead bytes of
// it, whether a line ends with it. What is not in the format counts as a line.
func EndsLine(head []byte) bool {
	for range 2 {
		_, rest, ok := bytes.Cut(head, []byte{' '})
		if !ok {
			return true
		}
		head = rest
	}
	return !bytes.HasPrefix(head, []byte{'P'})
}
