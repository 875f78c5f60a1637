package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podstead/podstead/pod"
)

// decoder fills a value from a YAML tree and notes everything that does not
// fit, and where each field stands.
type decoder struct {
	file     string
	problems []pod.Problem
	// at has the node of every field that the file gives.
	at map[string]*yaml.Node
}

func (d *decoder) problem(n *yaml.Node, field string, reason pod.Reason, message, got, want string) {
	d.problems = append(d.problems, pod.Problem{
		Origin: pod.Origin{File: d.file, Line: n.Line, Column: n.Column}, Severity: pod.Error,
		Reason: reason, Field: field, Message: message, Got: got, Want: want,
	})
}

// value decodes one node. A field without a value counts as left out.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	d.at[path] = n
	if n.Kind == yaml.AliasNode {
		d.problem(n, path, pod.ReasonSyntax, "anchors and aliases are not read here", "*"+n.Value, "the value itself")
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		d.text(n, u, path)
		return
	}
	if p, ok := reflect.TypeAssert[presetter](v.Addr()); ok {
		p.preset()
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.sequence(n, v, path)
	case reflect.Map:
		d.dictionary(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, path, pod.ReasonType, "this field has fields of its own", describe(n), "a mapping")
		return
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := join(path, key.Value)
		if first, twice := seen[key.Value]; twice {
			d.problem(key, full, pod.ReasonDuplicateKey, fmt.Sprintf("the field was given on line %d already", first.Line), "", "")
			continue
		}
		seen[key.Value] = key
		field, ok := fieldOf(v, key.Value)
		if !ok {
			d.problem(key, full, pod.ReasonUnknownField, "there is no such field"+suggestion(v.Type(), key.Value), "", "")
			continue
		}
		d.value(value, field, full)
	}
}

// dictionary reads a mapping whose keys are the reader's own.
func (d *decoder) dictionary(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, path, pod.ReasonType, "", describe(n), "a mapping")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		full := fmt.Sprintf("%s[%s]", path, n.Content[i].Value)
		d.value(n.Content[i], key, full)
		if v.MapIndex(key).IsValid() {
			d.problem(n.Content[i], full, pod.ReasonDuplicateKey, "it is given twice", "", "")
			continue
		}
		d.value(n.Content[i+1], value, full)
		v.SetMapIndex(key, value)
	}
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.problem(n, path, pod.ReasonType, "this field is a list", describe(n), "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

// wants says what each type of a scalar field takes.
func wants(v any) string {
	switch v.(type) {
	case *Duration:
		return "a time with its unit, such as 10s or 5m"
	case *Bytes:
		return "a size, such as 10Mi"
	case *Quantity:
		return "a quantity, such as 500m or 1Gi"
	case *netip.Prefix:
		return "a range of addresses, such as 10.117.0.0/16"
	case *PortRange:
		return "a port or a range of ports from 1 to 65535, such as 8080 or 8000-8999"
	}
	return map[reflect.Kind]string{
		reflect.String: "a string", reflect.Bool: "true or false",
		reflect.Int: "a whole number", reflect.Int64: "a whole number",
	}[reflect.TypeOf(v).Elem().Kind()]
}

func (d *decoder) text(n *yaml.Node, u encoding.TextUnmarshaler, path string) {
	if n.Kind != yaml.ScalarNode || u.UnmarshalText([]byte(n.Value)) != nil {
		d.problem(n, path, pod.ReasonType, "", describe(n), wants(u))
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	into := v.Addr().Interface()
	if n.Kind == yaml.ScalarNode && n.Tag == tagOf(v.Kind()) && n.Decode(into) == nil {
		return
	}
	hint := ""
	if v.Kind() == reflect.String && n.Kind == yaml.ScalarNode {
		hint = "put quotes around it"
	}
	d.problem(n, path, pod.ReasonType, hint, describe(n), wants(into))
}

// tagOf is the only YAML type that a kind is read from: nothing is converted.
func tagOf(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "!!str"
	case reflect.Bool:
		return "!!bool"
	default:
		return "!!int"
	}
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return fmt.Sprintf("%q", n.Value)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// suggestion names the field that was probably meant, else all that there
// are.
func suggestion(t reflect.Type, name string) string {
	var known []string
	for field := range t.Fields() {
		known = append(known, field.Tag.Get("yaml"))
	}
	for _, k := range known {
		if distance(strings.ToLower(k), strings.ToLower(name)) <= max(1, len(k)/3) {
			return fmt.Sprintf(": did you mean %s?", k)
		}
	}
	slices.Sort(known)
	return "; there are " + strings.Join(known, ", ")
}

// distance is the number of letters to add, drop or change to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
