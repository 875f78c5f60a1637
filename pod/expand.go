package pod

import "strings"

// Expand replaces $(NAME) by what lookup knows of NAME, once: replaced text
// is not looked at again. A reference that lookup does not know, or that is
// not closed, stays as written, and $$ stands for $. It reports false when
// the result would be longer than limit bytes, before it uses more memory
// than that: a chain of variables that double each other grows without end.
func Expand(s string, lookup func(string) (string, bool), limit int) (string, bool) {
	var out strings.Builder
	lastClose := strings.LastIndexByte(s, ')')
	for pos := 0; pos < len(s); {
		piece, next := nextPiece(s, pos, lastClose, lookup)
		if out.Len()+len(piece) > limit {
			return "", false
		}
		out.WriteString(piece)
		pos = next
	}
	return out.String(), true
}

// nextPiece returns what the text at pos expands to and where the rest
// begins. lastClose is the last ")" of s; knowing it keeps a long text of
// unclosed references from being searched once for each of them.
func nextPiece(s string, pos, lastClose int, lookup func(string) (string, bool)) (piece string, next int) {
	if s[pos] != '$' || pos+1 == len(s) {
		end := pos + 1
		for end < len(s) && s[end] != '$' {
			end++
		}
		return s[pos:end], end
	}
	switch {
	case s[pos+1] == '$':
		return "$", pos + 2
	case s[pos+1] == '(' && pos+1 < lastClose:
		end := pos + 2 + strings.IndexByte(s[pos+2:], ')')
		if value, ok := lookup(s[pos+2 : end]); ok {
			return value, end + 1
		}
		return s[pos : end+1], end + 1
	default:
		return s[pos : pos+2], pos + 2
	}
}
