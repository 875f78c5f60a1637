package manifest

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/manifest/validation"
	"github.com/podstead/podstead/pod"
)

// pod decodes, defaults and validates one pod, and reports all that is wrong.
func (p *parser) pod(root *node, found []trouble) {
	d := decoder{fields: p.fields, types: map[reflect.Type][]apiField{}}
	decoded, troubles := d.pod(root)
	found = append(found, troubles...)
	Default(decoded)
	found = append(found, zeroNumbers(decoded, root)...)
	found = append(found, p.further(decoded, found)...)
	for i := range found {
		if found[i].at == (place{}) {
			found[i].at = root.locate(found[i].field)
		}
	}
	item := p.items
	key := headKey(root, true)
	warnings, failed := p.finish(key, found)
	if failed {
		return
	}
	forgetPlatitudes(decoded)
	origin := p.origin
	origin.Item, origin.Line, origin.Column = item, root.at.line, root.at.column
	p.result.Pods = append(p.result.Pods, pod.Desired{
		Key: key, Pod: decoded, Origin: origin, Warnings: warnings,
	})
}

// further returns what is wrong with the meaning of a pod, but for what only
// follows from what was found before.
func (p *parser) further(decoded *corev1.Pod, before []trouble) []trouble {
	wrong := validation.Pod(decoded)
	if p.check != nil {
		wrong = append(wrong, p.check(decoded)...)
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
