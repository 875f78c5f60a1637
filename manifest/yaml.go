package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podstead/podstead/pod"
)

// parse returns the objects of a section that could be read, and what ended
// the reading if it was not the end. Empty documents are left out.
func (s section) parse() ([]*node, *trouble) {
	if looksLikeJSON(s.data) {
		root, t := s.parseJSON()
		if t != nil {
			return nil, t
		}
		return []*node{newTree(root)}, nil
	}
	return s.parseYAML()
}

func (s section) parseYAML() (roots []*node, t *trouble) {
	defer func() {
		// The reader below is not ours, and no manifest may end the daemon.
		if r := recover(); r != nil {
			t = s.syntax(fmt.Sprintf("the YAML reader failed: %v", r))
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(s.data))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return roots, s.syntax(err.Error())
		}
		if root := s.root(&document); root != nil {
			roots = append(roots, root)
		}
	}
}

// root returns the tree of a document, nil for an empty one.
func (s section) root(document *yaml.Node) *node {
	if document.Kind != yaml.DocumentNode || len(document.Content) == 0 {
		return nil
	}
	s.shift(document)
	root := newTree(document.Content[0])
	if root.kind == kindNull {
		return nil
	}
	return root
}

// shift turns lines of the section into lines of the file. Aliases point
// across the tree and are not followed, so every node is met once.
func (s section) shift(n *yaml.Node) {
	n.Line += s.line - 1
	for _, c := range n.Content {
		s.shift(c)
	}
}

var yamlErrorLine = regexp.MustCompile(`^line (\d+): `)

// syntax makes a problem of the reader's message, which has a line at most.
func (s section) syntax(message string) *trouble {
	message = strings.TrimPrefix(message, "yaml: ")
	at := place{s.line, 1}
	if m := yamlErrorLine.FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		line, err := strconv.Atoi(m[1])
		if err == nil {
			at = s.startOf(line)
		}
	}
	reason := pod.ReasonSyntax
	switch {
	case strings.Contains(message, "exceeded max depth"), strings.Contains(message, "contains itself"):
		reason = pod.ReasonTooComplex
	case s.isTab(at):
		message += "; YAML is indented by spaces, not tabs"
	}
	return &trouble{at: at, reason: reason, message: message}
}

// startOf is the place of the first character that is no blank in a line of
// the section, counted from 1.
func (s section) startOf(line int) place {
	lines := bytes.Split(s.data, []byte{'\n'})
	line = min(max(line, 1), len(lines))
	text := lines[line-1]
	column := len(text) - len(bytes.TrimLeft(text, " ")) + 1
	return place{s.line + line - 1, column}
}

func (s section) isTab(at place) bool {
	lines := bytes.Split(s.data, []byte{'\n'})
	i := at.line - s.line
	return i < len(lines) && at.column <= len(lines[i]) && lines[i][at.column-1] == '\t'
}
