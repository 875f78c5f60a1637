package manifest

import (
	"reflect"
	"strings"

	"github.com/podstead/podstead/manifest/validation"
	"github.com/podstead/podstead/pod"
)

// read decodes, defaults and validates one object, and reports all that is
// wrong.
func (p *parser) read(root *node, row kindRow, found []trouble) {
	d := decoder{fields: p.fields, top: row.typ, types: map[reflect.Type][]apiField{}}
	var o pod.Object
	found = append(found, d.object(root, row, &o)...)
	if o.Template() != nil && root.find("spec.template") == nil {
		found = append(found, trouble{reason: pod.ReasonRequired, field: "spec.template", message: "is required", want: "what its pods are made from"})
	}
	DefaultObject(&o)
	found = append(found, zeroNumbers(&o, root)...)
	found = append(found, p.further(&o, found)...)
	for i := range found {
		if found[i].at == (place{}) {
			found[i].at = root.locate(found[i].field)
		}
	}
	o.ObjectKey = headKey(root, row.kind)
	o.Origin = p.origin
	o.Origin.Item, o.Origin.Line, o.Origin.Column = p.items, root.at.line, root.at.column
	warnings, failed := p.finish(o.ObjectKey, found)
	if failed {
		return
	}
	o.Warnings = warnings
	forgetPlatitudes(&o)
	if o.Pod != nil {
		p.result.Pods = append(p.result.Pods, pod.Desired{
			Key: o.Key, Pod: o.Pod, Origin: o.Origin, Warnings: o.Warnings,
		})
		return
	}
	p.result.Objects = append(p.result.Objects, o)
}

// further returns what is wrong with the meaning of an object, but for what
// only follows from what was found before.
func (p *parser) further(o *pod.Object, before []trouble) []trouble {
	wrong := validation.Object(o)
	if p.check != nil {
		wrong = append(wrong, p.check(o)...)
	}
	var found []trouble
	for _, e := range wrong {
		if !follows(e.Field, e.Reason, before) {
			found = append(found, fromValidation(e))
		}
	}
	return found
}

func fromValidation(e validation.Error) trouble {
	t := trouble{reason: e.Reason, field: e.Field, message: e.Message, got: e.Got, want: e.Want}
	if e.Severity == pod.Warning {
		t.severity = pod.Warning
	}
	return t
}

// follows tells complaints that only follow from what was reported before: a
// field that had to be left out is missing, and so is what was in it.
func follows(path string, reason pod.Reason, found []trouble) bool {
	for _, f := range found {
		if f.severity == pod.Warning || f.field == "" {
			continue
		}
		if below(path, f.field) || f.instead != "" && below(path, f.instead) {
			return true
		}
		// A left out part may be what its parent lacks.
		if parentOf(f.field) == path && reason != pod.ReasonDuplicate {
			return true
		}
	}
	return false
}

// below tells whether path is at or below root.
func below(path, root string) bool {
	rest, found := strings.CutPrefix(path, root)
	return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func parentOf(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}
