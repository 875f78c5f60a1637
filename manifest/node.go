package manifest

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// kind is what a node is to the decoder.
type kind int

const (
	kindNull kind = iota
	kindBool
	kindInt
	kindFloat
	kindString
	kindMap
	kindList
	// kindBroken can't be used; its text says why.
	kindBroken
)

// node is a value of a manifest with its position. Aliases and merge keys are
// resolved, so it is a tree.
type node struct {
	kind   kind
	at     place
	text   string // of a scalar, as it is written
	quoted bool   // a scalar that is a string because of its quotes
	trap   string // what other YAML readers make of a plain string, or ""
	value  any    // of a scalar: nil, bool, int, int64, uint64, float64, string
	fields []field
	items  []*node
}

// field is an entry of a mapping.
type field struct {
	key, value *node
	// merged entries come from a merge key and give way to the mapping's own.
	merged bool
}

// get returns the first value of a key, nil if there is none.
func (n *node) get(name string) *node {
	if f := n.field(name); f != nil {
		return f.value
	}
	return nil
}

func (n *node) field(name string) *field {
	if n == nil {
		return nil
	}
	for i := range n.fields {
		if n.fields[i].key.text == name {
			return &n.fields[i]
		}
	}
	return nil
}

// isEmpty tells {} and [].
func (n *node) isEmpty() bool {
	return (n.kind == kindMap || n.kind == kindList) && len(n.fields)+len(n.items) == 0
}

// treeBuilder turns the reader's nodes into trees within limits. An entry of
// a List that is beyond them is broken by itself; aliases count for the whole
// document, since a few bytes of them can stand for anything.
type treeBuilder struct {
	nodes   int // of the present object
	aliased int // met through aliases
	inAlias int // how many aliases we are below
	broken  string
}

func newTree(root *yaml.Node) *node {
	var b treeBuilder
	if root.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value == "items" && root.Content[i+1].Kind == yaml.SequenceNode {
				return b.list(root, i+1)
			}
		}
	}
	return b.object(root, 0)
}

// list builds a mapping whose child at index holds objects of their own.
func (b *treeBuilder) list(root *yaml.Node, index int) *node {
	sequence := root.Content[index]
	hollow, header := *sequence, *root
	hollow.Content = nil
	header.Content = append(append(append([]*yaml.Node{},
		root.Content[:index]...), &hollow), root.Content[index+1:]...)
	n := b.object(&header, 0)
	items := n.get("items")
	if items == nil || items.kind != kindList {
		return n
	}
	for _, c := range sequence.Content {
		items.items = append(items.items, b.object(c, 2))
	}
	return n
}

// object builds a tree that may have MaxNodes of its own.
func (b *treeBuilder) object(y *yaml.Node, depth int) *node {
	b.nodes, b.inAlias, b.broken = 0, 0, ""
	n := b.build(y, depth)
	if b.broken != "" {
		return &node{kind: kindBroken, at: place{y.Line, y.Column}, text: b.broken}
	}
	return n
}

func (b *treeBuilder) build(y *yaml.Node, depth int) *node {
	n := &node{at: place{y.Line, y.Column}}
	if b.exceeded(depth) {
		n.kind, n.text = kindBroken, b.broken
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		b.inAlias++
		defer func() { b.inAlias-- }()
		return b.build(y.Alias, depth)
	case yaml.MappingNode:
		n.kind = kindMap
		b.mapping(n, y, depth)
	case yaml.SequenceNode:
		n.kind = kindList
		for _, c := range y.Content {
			if b.broken != "" {
				break
			}
			n.items = append(n.items, b.build(c, depth+1))
		}
	default:
		n.scalar(y)
	}
	if tag := y.ShortTag(); y.Style&yaml.TaggedStyle != 0 && !isKnownTag(tag) {
		n.kind, n.text = kindBroken, fmt.Sprintf("the tag %s is not supported", quote(tag))
	}
	return n
}

// exceeded counts a node and says in broken which limit it is beyond. A self
// reference is met here as well: it never ends.
func (b *treeBuilder) exceeded(depth int) bool {
	b.nodes++
	if b.inAlias > 0 {
		b.aliased++
	}
	switch {
	case b.broken != "":
	case depth >= MaxDepth:
		b.broken = fmt.Sprintf("it nests deeper than %d levels", MaxDepth)
	case b.nodes > MaxNodes:
		b.broken = fmt.Sprintf("it has more than %d keys and values", MaxNodes)
	case b.aliased > MaxNodes:
		b.broken = fmt.Sprintf("its aliases stand for more than %d keys and values", MaxNodes)
	}
	return b.broken != ""
}

func (b *treeBuilder) mapping(n *node, y *yaml.Node, depth int) {
	var merges []*yaml.Node
	for i := 0; i+1 < len(y.Content) && b.broken == ""; i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merges = append(merges, value)
			continue
		}
		n.fields = append(n.fields, field{
			key: b.build(key, depth+1), value: b.build(value, depth+1),
		})
	}
	if len(merges) == 0 {
		return
	}
	own := map[string]bool{}
	for _, f := range n.fields {
		own[f.key.text] = true
	}
	for _, m := range merges {
		b.merge(n, own, m, depth)
	}
}

// merge adds what a "<<" key refers to: a mapping, or a list of mappings of
// which the first wins.
func (b *treeBuilder) merge(n *node, own map[string]bool, y *yaml.Node, depth int) {
	from := b.build(y, depth+1)
	sources := []*node{from}
	if from.kind == kindList {
		sources = from.items
	}
	for _, s := range sources {
		if s.kind != kindMap {
			n.fields = append(n.fields, field{merged: true, value: s, key: &node{
				kind: kindBroken, at: s.at, text: "a merge key (<<) needs a mapping",
			}})
			continue
		}
		for _, f := range s.fields {
			if !own[f.key.text] {
				own[f.key.text] = true
				n.fields = append(n.fields, field{key: f.key, value: f.value, merged: true})
			}
		}
	}
}

func isKnownTag(tag string) bool {
	return strings.Contains(" !!str !!int !!float !!bool !!null !!map !!seq !!timestamp !!merge ", " "+tag+" ")
}
