package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/podstead/podstead/pod"
)

// parseJSON reads one JSON value as JSON (YAML differs in escapes and in the
// length of keys) into the nodes of the YAML reader, which have positions.
func (s section) parseJSON() (*yaml.Node, *trouble) {
	var whole json.RawMessage
	if err := json.Unmarshal(s.data, &whole); err != nil {
		return nil, s.jsonError(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(s.data))
	decoder.UseNumber()
	r := jsonReader{section: s, decoder: decoder, line: s.line, column: 1}
	root, err := r.value()
	if err != nil {
		return nil, &trouble{at: r.place(), reason: pod.ReasonSyntax, message: err.Error()}
	}
	return root, nil
}

func (s section) jsonError(err error) *trouble {
	t := &trouble{at: place{s.line, 1}, reason: pod.ReasonSyntax, message: err.Error()}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		t.at = placeOf(s.data, int(syntax.Offset)-1)
		t.at.line += s.line - 1
	}
	if strings.Contains(t.message, "exceeded max depth") {
		t.reason = pod.ReasonTooComplex
	}
	return t
}

// jsonReader builds nodes from tokens and keeps count of the position. Its
// input is known to be valid.
type jsonReader struct {
	section
	decoder      *json.Decoder
	offset       int
	line, column int
}

func (r *jsonReader) place() place { return place{r.line, r.column} }

// next returns the next token and where it begins.
func (r *jsonReader) next() (json.Token, place, error) {
	start := r.offset
	for start < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[start]) >= 0 {
		start++
	}
	r.advance(start)
	at := r.place()
	token, err := r.decoder.Token()
	if err != nil {
		return nil, at, fmt.Errorf("read JSON: %w", err)
	}
	r.advance(int(r.decoder.InputOffset()))
	return token, at, nil
}

func (r *jsonReader) advance(to int) {
	for r.offset < to {
		c, size := utf8.DecodeRune(r.data[r.offset:])
		r.offset += size
		r.column++
		if c == '\n' {
			r.line++
			r.column = 1
		}
	}
}

func (r *jsonReader) value() (*yaml.Node, error) {
	token, at, err := r.next()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: at.line, Column: at.column}
	switch v := token.(type) {
	case json.Delim:
		n.Kind = yaml.MappingNode
		if v == '[' {
			n.Kind = yaml.SequenceNode
		}
		return n, r.content(n)
	case string:
		n.Value, n.Style = v, yaml.DoubleQuotedStyle
	case nil:
		n.Value = "null"
	default: // bool and json.Number print as they are written
		n.Value = fmt.Sprint(v)
	}
	return n, nil
}

// content reads keys and values alike up to the closing delimiter.
func (r *jsonReader) content(n *yaml.Node) error {
	for r.decoder.More() {
		c, err := r.value()
		if err != nil {
			return err
		}
		n.Content = append(n.Content, c)
	}
	_, _, err := r.next()
	return err
}
