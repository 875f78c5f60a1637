package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	sigsjson "sigs.k8s.io/json"

	"github.com/podstead/podstead/pod"
)

// decoder compares a tree with the types of the API and the field table. It
// goes on after a problem: what it can't use it leaves out.
type decoder struct {
	fields   fieldIndex
	troubles []trouble
	// top is the type of the whole object.
	top   reflect.Type
	types map[reflect.Type][]apiField
}

// object makes an object of a tree. It lacks what the troubles complain of.
func (d *decoder) object(root *node, row kindRow, o *pod.Object) []trouble {
	row.attach(o, reflect.New(row.typ).Interface())
	value, ok := d.value("", root, root.at, row.typ)
	if !ok {
		return d.troubles
	}
	content := reflect.New(row.typ).Interface()
	if err := decodeStrictly(value, content); err != nil {
		d.add(trouble{at: root.at, reason: pod.ReasonType, message: err.Error()})
		return d.troubles
	}
	row.attach(o, content)
	return d.troubles
}

// decodeStrictly goes through JSON, since the types of the API say there what
// they look like.
func decodeStrictly(value, into any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode as JSON: %w", err)
	}
	strict, err := sigsjson.UnmarshalStrict(data, into)
	if err == nil && len(strict) > 0 {
		err = strict[0]
	}
	if err != nil {
		return fmt.Errorf("decode as %T: %w", into, err)
	}
	return nil
}

func (d *decoder) add(t trouble) { d.troubles = append(d.troubles, t) }

// The structs that manifests write as scalars.
var (
	quantityType = reflect.TypeFor[resource.Quantity]()
	numberOrText = reflect.TypeFor[intstr.IntOrString]()
)

// value returns what JSON shall say of a node for a type; false if the node
// does not fit, which is then reported. at is where complaints about the
// whole of it point to.
func (d *decoder) value(path string, n *node, at place, t reflect.Type) (any, bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.kind == kindBroken:
		d.add(trouble{at: n.at, reason: pod.ReasonType, field: path, message: n.text})
		return nil, false
	case t == quantityType:
		return d.quantity(path, n, at)
	case t == numberOrText:
		return d.numberOrText(path, n, at)
	case t.Kind() == reflect.Struct:
		return d.structure(path, n, at, t)
	case t.Kind() == reflect.Map:
		return d.mapping(path, n, at, t.Elem())
	case t.Kind() == reflect.Slice:
		return d.list(path, n, at, t.Elem())
	}
	return d.scalar(path, n, at, t)
}

func (d *decoder) structure(path string, n *node, at place, t reflect.Type) (any, bool) {
	if n.kind != kindMap {
		d.mismatch(path, n, at, "a mapping", "")
		return nil, false
	}
	known := d.fieldsOf(t)
	seen := map[string]place{}
	object := map[string]any{}
	for _, f := range n.fields {
		name := f.key.text
		if d.duplicate(seen, path, f) || d.brokenKey(path, f) {
			continue
		}
		i := slices.IndexFunc(known, func(a apiField) bool { return a.name == name })
		if i < 0 {
			d.unknown(path, f.key, t, known)
			continue
		}
		if value, ok := d.field(joinPath(path, name), f, t.Name(), known[i]); ok {
			object[name] = value
		}
	}
	return object, true
}

// field decides by the field table, then goes on below.
func (d *decoder) field(path string, f field, owner string, a apiField) (any, bool) {
	row, found := d.fields.find(owner, a.name)
	if !found {
		row = Field{Support: Refused, Reason: pod.ReasonUnsupportedField, Note: "this version does not know it"}
	}
	if row.Support != Supported && !row.takes(f.value) {
		d.unsupported(path, f, row)
		return nil, false
	}
	if f.value.kind == kindNull {
		return nil, false // as if it were not there, as in Kubernetes
	}
	if row.Support == Ignored && !row.keeps(f.value) || row.Support == Refused && f.value.isEmpty() {
		return nil, false // an empty value, or one that says what is so anyway
	}
	if kind := a.typ.Kind(); (kind == reflect.Slice || kind == reflect.Map) && f.value.isEmpty() {
		return nil, false
	}
	return d.value(path, f.value, placeFor(f.key, f.value), a.typ)
}

func (d *decoder) unsupported(path string, f field, row Field) {
	t := trouble{at: f.key.at, field: path, reason: row.Reason, message: row.Note}
	if row.Support == Ignored {
		t.severity, t.reason = pod.Warning, pod.ReasonIgnoredField
	}
	if f.value.kind != kindMap && f.value.kind != kindList {
		t.got = f.value.describe()
	}
	if len(row.Accept) > 0 && row.Support == Refused {
		t.want = wantOneOf(row.Accept)
	}
	d.add(t)
}

// wantOneOf lists accepted values but for empty ones.
func wantOneOf(accept []string) string {
	var named []string
	for _, a := range accept {
		if a != "" && a != "{}" {
			named = append(named, a)
		}
	}
	return strings.Join(named, " or ")
}

// mapping decodes a map of strings to scalars.
func (d *decoder) mapping(path string, n *node, at place, elem reflect.Type) (any, bool) {
	if n.kind != kindMap {
		d.mismatch(path, n, at, "a mapping", "")
		return nil, false
	}
	seen := map[string]place{}
	object := map[string]any{}
	for _, f := range n.fields {
		if d.duplicate(seen, path, f) || d.brokenKey(path, f) {
			continue
		}
		key := f.key.text
		below := keyPath(path, key)
		if _, ok := d.scalar(below, f.key, f.key.at, reflect.TypeFor[string]()); !ok {
			continue
		}
		if f.value.kind == kindNull && elem.Kind() == reflect.String {
			object[key] = ""
			continue
		}
		if key == "matchLabels" && f.value.kind == kindMap && elem.Kind() == reflect.String {
			d.mismatch(below, f.value, f.key.at, "a string", "the labels of this selector stand without matchLabels")
			continue
		}
		if value, ok := d.value(below, f.value, placeFor(f.key, f.value), elem); ok {
			object[key] = value
		}
	}
	return object, true
}

func (d *decoder) list(path string, n *node, at place, elem reflect.Type) (any, bool) {
	if n.kind != kindList {
		hint := ""
		if n.kind == kindString {
			hint = "write it as a list: [" + quote(n.text) + "]"
		}
		d.mismatch(path, n, at, "a list", hint)
		return nil, false
	}
	items := []any{}
	for i, item := range n.items {
		if item.kind == kindNull {
			d.mismatch(fmt.Sprintf("%s[%d]", path, i), item, item.at, "a value", "an entry of the list is empty")
			items = append(items, reflect.Zero(elem).Interface())
			continue
		}
		value, ok := d.value(fmt.Sprintf("%s[%d]", path, i), item, item.at, elem)
		if !ok {
			// Something stays in its place, so that positions hold.
			value = reflect.Zero(elem).Interface()
		}
		items = append(items, value)
	}
	return items, true
}

// placeFor says where to point for a value: at itself, or at its key when the
// value is not on one line.
func placeFor(key, value *node) place {
	switch value.kind {
	case kindMap, kindList, kindNull:
		return key.at
	}
	return value.at
}
