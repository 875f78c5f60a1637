package manifest

import (
	"reflect"
	"strings"
)

// apiField is a field of an API type as JSON sees it.
type apiField struct {
	name string
	typ  reflect.Type
}

// apiFields lists the fields of a struct of the API, those of embedded types
// as its own.
func apiFields(t reflect.Type) []apiField {
	var fields []apiField
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous:
			fields = append(fields, apiFields(f.Type)...)
		default:
			fields = append(fields, apiField{name: name, typ: f.Type})
		}
	}
	return fields
}

// fieldsOf remembers what apiFields says for the time of one decoding.
func (d *decoder) fieldsOf(t reflect.Type) []apiField {
	fields, found := d.types[t]
	if !found {
		fields = apiFields(t)
		d.types[t] = fields
	}
	return fields
}
