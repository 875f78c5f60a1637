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
// "---" and "..." at the start of a line nowhere but as markers. Sections
// without content are left out.
func splitDocuments(data []byte) []section {
	var sections []section
	start, startLine, line := 0, 1, 0
	marked, content := false, false // what the present section has
	cut := func(at, nextLine int) {
		if content {
			sections = append(sections, section{data[start:at], startLine})
		}
		start, startLine, marked, content = at, nextLine, false, false
	}
	for at := 0; at < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line++
		text := data[at:end]
		switch {
		case isMarker(text, "---"):
			if marked || content {
				cut(at, line)
			}
			marked, content = true, hasContent(text[len("---"):])
		case isMarker(text, "..."):
			cut(end, line+1)
		default:
			content = content || hasContent(text)
		}
		at = end
	}
	cut(len(data), line)
	return sections
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

// asJSON returns a section that looks like JSON, a document marker at its
// start blanked out so that positions stay.
func (s section) asJSON() (section, bool) {
	rest, marked := bytes.CutPrefix(s.data, []byte("---"))
	if !looksLikeJSON(rest) {
		return s, false
	}
	if marked {
		s.data = append([]byte("   "), rest...)
	}
	return s, true
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

// nodeBound is at least the number of keys and values in a section: each
// needs its punctuation, but not all punctuation stands for one. It keeps
// documents from the reader that would take hundreds of megabytes there.
func (s section) nodeBound() int {
	bound := 1
	for i, c := range s.data {
		next := byte('\n')
		if i+1 < len(s.data) {
			next = s.data[i+1]
		}
		switch c {
		case ',', '[', '{':
			bound++
		case '-':
			if isBlank(next) {
				bound++
			}
		case ':', '?':
			quoted := i > 0 && (s.data[i-1] == '"' || s.data[i-1] == '\'')
			if isBlank(next) || quoted || bytes.IndexByte([]byte("[{\"',]}"), next) >= 0 {
				bound += 2
			}
		}
	}
	return bound
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
