package manifest

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/pod"
)

// canonical is a scalar as a program would write it.
func (n *node) canonical() string {
	if n.kind == kindString {
		return n.text
	}
	return fmt.Sprint(n.value)
}

// scalar decodes strings, booleans and integers. Types with other kinds are
// not in the supported part of the API; a test holds that.
func (d *decoder) scalar(path string, n *node, at place, t reflect.Type) (any, bool) {
	switch t.Kind() {
	case reflect.String:
		return d.text(path, n, at)
	case reflect.Bool:
		if n.kind == kindBool {
			return n.value, true
		}
		d.mismatch(path, n, at, "true or false", unquoteHint(n, kindBool))
		return nil, false
	}
	number, ok := n.integer(t.Bits())
	if ok {
		return number, true
	}
	d.mismatch(path, n, at, fmt.Sprintf("an integer of %d bits", t.Bits()), unquoteHint(n, kindInt))
	return nil, false
}

func (d *decoder) text(path string, n *node, at place) (any, bool) {
	if n.kind == kindString && n.trap == "" {
		return n.text, true
	}
	hint := ""
	switch n.kind {
	case kindString, kindBool, kindInt, kindFloat:
		hint = fmt.Sprintf("quote it: %q", n.text)
	}
	d.mismatch(path, n, at, "a string", hint)
	return nil, false
}

// integer returns the value of integers and of floats without a fraction.
func (n *node) integer(bits int) (int64, bool) {
	var v int64
	switch x := n.value.(type) {
	case int:
		v = int64(x)
	case int64:
		v = x
	case float64:
		if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			return 0, false
		}
		v = int64(x)
	default:
		return 0, false
	}
	limit := int64(1) << (bits - 1)
	return v, bits == 64 || v >= -limit && v < limit
}

// numberOrText decodes a port, which may be a number or a name, and a number
// of pods, which may be a percentage.
func (d *decoder) numberOrText(path string, n *node, at place) (any, bool) {
	if number, ok := n.integer(32); ok {
		return number, true
	}
	hint := unquoteHint(n, kindInt)
	if n.kind == kindString && n.trap == "" && hint == "" {
		return n.text, true
	}
	want := "the number of a port, or the name that a container gives one"
	if strings.HasSuffix(path, ".maxSurge") || strings.HasSuffix(path, ".maxUnavailable") {
		want = "a number of pods, or a percentage such as 25%"
	}
	d.mismatch(path, n, at, want, hint)
	return nil, false
}

// quantity decodes amounts such as 500m or 64Mi, which may be numbers.
func (d *decoder) quantity(path string, n *node, at place) (any, bool) {
	text := ""
	switch n.kind {
	case kindString:
		text = n.text
	case kindInt, kindFloat:
		text = fmt.Sprint(n.value)
	default:
		d.mismatch(path, n, at, "a quantity such as 500m or 64Mi", "")
		return nil, false
	}
	if _, err := resource.ParseQuantity(text); err != nil {
		d.add(trouble{
			at: at, reason: pod.ReasonInvalidQuantity, field: path,
			message: quantityHint(text), got: n.describe(),
			want: "a number with a suffix such as m, k, M, G, Ki, Mi, Gi, or none",
		})
		return nil, false
	}
	return text, true
}

// quantityHint explains the usual slips.
func quantityHint(text string) string {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	suffix := strings.TrimSpace(text[len(number):])
	right := map[string]string{
		"mb": "M or Mi", "gb": "G or Gi", "kb": "k or Ki", "tb": "T or Ti",
		"mib": "Mi", "gib": "Gi", "kib": "Ki", "tib": "Ti",
		"mi": "Mi", "gi": "Gi", "ki": "Ki", "ti": "Ti", "g": "G or Gi", "b": "none", "k": "k",
	}[strings.ToLower(suffix)]
	switch {
	case right != "":
		return fmt.Sprintf("the suffix %s is unknown; write %s", quote(suffix), right)
	case strings.Contains(text, ","):
		return "it can't be read; the decimal mark is a point"
	}
	return "it can't be read as an amount"
}

// mismatch reports a value of the wrong shape.
func (d *decoder) mismatch(path string, n *node, at place, want, hint string) {
	d.add(trouble{
		at: at, reason: pod.ReasonType, field: path,
		message: cmp.Or(hint, "it is of the wrong type"), got: n.describe(), want: want,
	})
}

// unquoteHint helps those who quoted a number or a boolean.
func unquoteHint(n *node, wanted kind) string {
	if !n.quoted {
		return ""
	}
	if k, _ := resolvePlain(n.text); k != wanted {
		return ""
	}
	return "leave out the quotes: " + n.text
}

// duplicate reports a key that was there before. The first one is used, so
// that the rest can be looked at.
func (d *decoder) duplicate(seen map[string]place, path string, f field) bool {
	first, found := seen[f.key.text]
	if !found {
		seen[f.key.text] = f.key.at
		return false
	}
	message := fmt.Sprintf("the key is given twice, in line %d and line %d", first.line, f.key.at.line)
	if first.line == f.key.at.line {
		message = fmt.Sprintf("the key is given twice in line %d", first.line)
	}
	d.add(trouble{
		at: f.key.at, reason: pod.ReasonDuplicateKey, field: joinPath(path, f.key.text),
		message: message,
		got:     f.value.describe(), want: "one of the two",
	})
	return true
}

// brokenKey reports keys that are no scalars and merge keys of no mapping.
func (d *decoder) brokenKey(path string, f field) bool {
	switch f.key.kind {
	case kindBroken:
		d.add(trouble{at: f.key.at, reason: pod.ReasonType, field: path, message: f.key.text, got: f.value.describe()})
	case kindMap, kindList:
		d.add(trouble{at: f.key.at, reason: pod.ReasonType, field: path, message: "a key is no scalar",
			got: f.key.describe(), want: "a string as key; values with { or [ at their start need quotes"})
	default:
		return false
	}
	return true
}
