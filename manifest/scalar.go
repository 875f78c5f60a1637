package manifest

import (
	"fmt"
	"regexp"
	"strings"

	yaml11 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"
)

// scalar gives a node the value that kubectl would give it: kubectl reads
// YAML 1.1, where "on" is a boolean and 0777 is octal.
func (n *node) scalar(y *yaml.Node) {
	n.text = y.Value
	quotes := yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	n.quoted = y.Style&quotes != 0 || y.Style&yaml.TaggedStyle != 0 && y.ShortTag() == "!!str"
	if n.quoted {
		n.kind, n.value = kindString, y.Value
		return
	}
	n.kind, n.value = resolvePlain(y.Value)
	if n.kind == kindString && base60.MatchString(y.Value) {
		n.trap = "some YAML readers take for a number in base 60"
	}
}

// base60 are the integers that YAML 1.1 has and kubectl's reader has not.
var base60 = regexp.MustCompile(`^[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+$`)

// longestNumber is beyond every number and word that YAML gives a meaning.
const longestNumber = 64

// resolvePlain says what YAML 1.1 makes of a scalar without quotes.
func resolvePlain(text string) (kind, any) {
	if !mayBeResolved(text) {
		return kindString, text
	}
	var v any
	if err := yaml11.Unmarshal([]byte(text), &v); err != nil {
		return kindString, text
	}
	switch v.(type) {
	case nil:
		return kindNull, nil
	case bool:
		return kindBool, v
	case int, int64, uint64:
		return kindInt, v
	case float64:
		return kindFloat, v
	}
	return kindString, text
}

// mayBeResolved tells scalars that might be no strings, so that the reader is
// asked about those alone.
func mayBeResolved(text string) bool {
	if text == "" {
		return true
	}
	switch c := text[0]; {
	case len(text) > longestNumber:
		return false
	case c >= '0' && c <= '9', len(text) > 1 && strings.IndexByte("+-.", c) >= 0:
		return strings.Trim(text, "-") != ""
	case c == '~':
		return len(text) == 1
	}
	return len(text) <= len("false") && strings.IndexByte("yYnNtTfFoO", text[0]) >= 0
}

// describe says what was found, for people.
func (n *node) describe() string {
	switch n.kind {
	case kindNull:
		return "nothing"
	case kindMap:
		return "a mapping"
	case kindList:
		return "a list"
	case kindString:
		if n.trap != "" {
			return n.text + ", which " + n.trap
		}
		return quote(n.text)
	case kindBool:
		return n.describeAs("the boolean")
	case kindInt, kindFloat:
		return n.describeAs("the number")
	}
	return n.text
}

func (n *node) describeAs(what string) string {
	read := fmt.Sprint(n.value)
	if read == n.text {
		return what + " " + read
	}
	return fmt.Sprintf("%s, which YAML reads as %s %s", n.text, what, read)
}
