package manifest

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/podstead/podstead/pod"
)

var (
	utf8BOM = []byte{0xEF, 0xBB, 0xBF}
	// notText are the first bytes of what people hand over by mistake.
	notText = []struct {
		prefix []byte
		what   string
	}{
		{[]byte{0xFF, 0xFE}, "UTF-16 or UTF-32 text"},
		{[]byte{0xFE, 0xFF}, "UTF-16 text"},
		{[]byte{0x00, 0x00, 0xFE, 0xFF}, "UTF-32 text"},
		{[]byte{0x1F, 0x8B}, "gzip data"},
		{[]byte{0x28, 0xB5, 0x2F, 0xFD}, "zstd data"},
		{[]byte("PK\x03\x04"), "a zip archive"},
		{[]byte("\x7FELF"), "a program"},
	}
)

// checkBytes refuses what is too large or is no UTF-8 text, before anything
// looks at its meaning. YAML readers decode UTF-16 silently; we don't, since
// nobody means it.
func checkBytes(data []byte, maxBytes int) *trouble {
	if len(data) > maxBytes {
		return &trouble{
			at: place{1, 1}, reason: pod.ReasonTooLarge,
			message: "it is not read at all",
			got:     fmt.Sprintf("more than %d bytes", maxBytes),
			want:    fmt.Sprintf("at most %d bytes", maxBytes),
		}
	}
	for _, n := range notText {
		if bytes.HasPrefix(data, n.prefix) {
			return notUTF8(place{1, 1}, n.what)
		}
	}
	text := trimBOM(data)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return notUTF8(placeOf(text, i), fmt.Sprintf("byte 0x%02X", text[i]))
		}
		if isControl(r) {
			return notUTF8(placeOf(text, i), fmt.Sprintf("control character U+%04X", r))
		}
		i += size
	}
	return nil
}

func notUTF8(at place, got string) *trouble {
	return &trouble{
		at: at, reason: pod.ReasonEncoding,
		message: "it is no text that podstead reads",
		got:     got, want: "UTF-8 text without control characters",
	}
}

// isControl tells the characters that YAML forbids but for a byte order mark
// in the middle, which it forbids as well.
func isControl(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || r == 0x85:
		return false
	case r < 0x20 || r >= 0x7F && r < 0xA0:
		return true
	}
	return r == 0xFEFF || r == 0xFFFE || r == 0xFFFF
}

func trimBOM(data []byte) []byte { return bytes.TrimPrefix(data, utf8BOM) }

// placeOf says where an offset is, columns counted in characters.
func placeOf(data []byte, offset int) place {
	before := data[:min(offset, len(data))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return place{
		line:   bytes.Count(before, []byte{'\n'}) + 1,
		column: utf8.RuneCount(before[start:]) + 1,
	}
}
