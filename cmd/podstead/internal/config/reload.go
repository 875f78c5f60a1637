package config

import "reflect"

// NeedRestart names the fields in which two configurations differ and that
// are not taken over while podstead runs, in the order of the type.
func NeedRestart(running, wanted *Configuration) []string {
	return fixedDifferences(reflect.ValueOf(*running), reflect.ValueOf(*wanted), "")
}

// WithLive returns the running configuration with the live fields of the
// wanted one.
func WithLive(running, wanted *Configuration) *Configuration {
	out := *running
	takeLive(reflect.ValueOf(&out).Elem(), reflect.ValueOf(*wanted))
	return &out
}

func fixedDifferences(a, b reflect.Value, path string) []string {
	var fields []string
	for i := range a.NumField() {
		f := a.Type().Field(i)
		name := join(path, f.Tag.Get("yaml"))
		switch {
		case f.Tag.Get("reload") == "live":
		case isGroup(f.Type):
			fields = append(fields, fixedDifferences(a.Field(i), b.Field(i), name)...)
		case !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
			fields = append(fields, name)
		}
	}
	return fields
}

func takeLive(to, from reflect.Value) {
	for i := range to.NumField() {
		f := to.Type().Field(i)
		switch {
		case f.Tag.Get("reload") == "live":
			to.Field(i).Set(from.Field(i))
		case isGroup(f.Type):
			takeLive(to.Field(i), from.Field(i))
		}
	}
}

// isGroup tells structs of fields from structs that are values.
func isGroup(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[Quantity]()
}
