package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/podstead/podstead/pod"
)

// parse returns the objects of a section that could be read, and what ended
// the reading if it was not the end. Empty documents are left out.
func (s section) parse() ([]*node, *trouble) {
	if s.nodeBound() > MaxDocumentNodes {
		return nil, &trouble{
			at: place{s.line, 1}, reason: pod.ReasonTooComplex,
			message: fmt.Sprintf("it has more than %d keys and values; split it into several documents", MaxDocumentNodes),
		}
	}
	json, ok := s.asJSON()
	if !ok {
		return s.parseYAML()
	}
	root, t := json.parseJSON()
	if t == nil {
		return []*node{newTree(root)}, nil
	}
	// YAML allows what JSON does not, such as comments.
	if roots, fails := s.parseYAML(); fails == nil {
		return roots, nil
	}
	return nil, t
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
