package manifest

import (
	"bytes"
)

// section is a part of a file that holds one YAML document, as a rule, or one
// JSON value.
type section struct {
	data []byte
	// line is the 1-based line of the file that the section begins at.
	line int
}

// splitDocuments cuts a stream at its document markers, so that a document
// that can't be read does not take the following ones with it. YAML allows
// "---" and "..." at the start of a line nowhere but as markers.
func splitDocuments(data []byte) []section {
	var sections []section
	start, startLine, line := 0, 1, 0
	begun := false // the section has a marker or content
	for at := 0; at < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line++
		text := data[at:end]
		opens := isMarker(text, "---")
		if opens && begun {
			sections = append(sections, section{data[start:at], startLine})
			start, startLine, begun = at, line, false
		}
		begun = begun || opens || hasContent(text)
		if isMarker(text, "...") {
			sections = append(sections, section{data[start:end], startLine})
			start, startLine, begun = end, line+1, false
		}
		at = end
	}
	return append(sections, section{data[start:], startLine})
}

func isMarker(line []byte, marker string) bool {
	rest, found := bytes.CutPrefix(line, []byte(marker))
	return found && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// hasContent tells lines of a document from blank lines, comments and the
// directives that belong to the document after them.
func hasContent(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] != '#' && line[0] != '%'
}

// looksLikeJSON tells JSON from YAML's own flow style, which people write
// without quoted keys.
func looksLikeJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 {
		return false
	}
	rest := bytes.TrimLeft(data[1:], " \t\r\n")
	switch data[0] {
	case '{':
		return len(rest) == 0 || rest[0] == '"' || rest[0] == '}'
	case '[':
		return len(rest) == 0 || rest[0] == '{' || rest[0] == ']'
	}
	return false
}
