package manifest

import (
	"slices"

	"github.com/podstead/podstead/pod"
)

// Support says what podstead does with a field of the API.
type Support string

// The kinds of support.
const (
	// Supported fields do what Kubernetes says.
	Supported Support = "supported"
	// Ignored fields have no effect, which is harmless; a warning says so.
	Ignored Support = "ignored"
	// Refused fields would change what the object is, and podstead can't do it:
	// the manifest is not used.
	Refused Support = "refused"
)

// Field is one row of the field table. What is below a field that is ignored
// or refused has no rows: it is not looked at.
type Field struct {
	// Type is the type of k8s.io/api (or ObjectMeta) that has the field, with
	// the fields of embedded types as its own. No two types that can be
	// reached have one name; a test holds that.
	Type string
	// Name is the field's name in manifests.
	Name    string
	Support Support
	// Accept lists values of an ignored or refused field that are taken
	// without a word since they say what podstead does anyway. null and []
	// always are, {} for ignored fields.
	Accept []string
	// Kept lists values of an ignored field that have an effect.
	Kept []string
	// Reason of the error for refused fields.
	Reason pod.Reason
	// Note says in words what happens instead, why, or what to use.
	Note string
}

// Fields returns the field table: every field of every supported kind, in the
// order of the types and fields in the API.
func Fields() []Field {
	return slices.Concat(
		podFields(), metadataFields(), specFields(), placementFields(), podSecurityFields(),
		containerFields(), containerPartFields(), probeFields(), containerSecurityFields(),
		volumeFields(), workloadFields(), serviceFields(), endpointSliceFields(),
	)
}

// The helpers below make rows of one type; of adds the type.
func of(typeName string, rows ...[]Field) []Field {
	all := slices.Concat(rows...)
	for i := range all {
		all[i].Type = typeName
	}
	return all
}

func supported(names ...string) []Field {
	var rows []Field
	for _, name := range names {
		rows = append(rows, Field{Name: name, Support: Supported})
	}
	return rows
}

func supportedNote(name, note string) []Field {
	return []Field{{Name: name, Support: Supported, Note: note}}
}

func ignored(name, note string, accept ...string) []Field {
	return []Field{{Name: name, Support: Ignored, Accept: accept, Note: note}}
}

// ignoredBut is ignored, except for some values.
func ignoredBut(name, note string, kept []string, accept ...string) []Field {
	return []Field{{Name: name, Support: Ignored, Accept: accept, Kept: kept, Note: note}}
}

func refused(name, note string, accept ...string) []Field {
	return []Field{{
		Name: name, Support: Refused, Accept: accept,
		Reason: pod.ReasonUnsupportedField, Note: note,
	}}
}

// refusedReference is for what lives in an API server that is not there.
func refusedReference(name, note string, accept ...string) []Field {
	return []Field{{
		Name: name, Support: Refused, Accept: accept,
		Reason: pod.ReasonNoSuchReference, Note: note,
	}}
}

// fieldIndex finds rows by type and name.
type fieldIndex map[[2]string]Field

func newFieldIndex() fieldIndex {
	index := fieldIndex{}
	for _, f := range Fields() {
		index[[2]string{f.Type, f.Name}] = f
	}
	return index
}

func (x fieldIndex) find(typeName, name string) (Field, bool) {
	f, ok := x[[2]string{typeName, name}]
	return f, ok
}

// takes tells whether the value of an ignored or refused field is taken
// without a word.
func (f Field) takes(n *node) bool {
	switch n.kind {
	case kindNull:
		return true
	case kindList:
		return len(n.items) == 0
	case kindMap:
		return len(n.fields) == 0 && (f.Support == Ignored || slices.Contains(f.Accept, "{}"))
	}
	return slices.Contains(f.Accept, n.canonical()) || f.keeps(n)
}

// keeps tells whether a value has an effect.
func (f Field) keeps(n *node) bool {
	return f.Support == Supported || f.Support == Ignored && slices.Contains(f.Kept, n.canonical())
}
