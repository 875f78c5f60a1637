package manifest

import (
	"os"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// apiRows walks the types of the Pod API and calls visit for each field that
// can be reached through supported fields.
func apiRows(t reflect.Type, seen map[reflect.Type]bool, index fieldIndex, visit func(owner reflect.Type, a apiField)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == quantityType || t == portType || seen[t] {
		return
	}
	seen[t] = true
	for _, a := range apiFields(t) {
		visit(t, a)
		if row, found := index.find(t.Name(), a.name); found && row.Support == Supported {
			apiRows(a.typ, seen, index, visit)
		}
	}
}

func TestEveryFieldOfTheAPIHasExactlyOneRow(t *testing.T) {
	rows := map[[2]string]int{}
	for _, f := range Fields() {
		rows[[2]string{f.Type, f.Name}]++
		if rows[[2]string{f.Type, f.Name}] > 1 {
			t.Errorf("%s.%s has two rows", f.Type, f.Name)
		}
	}
	var order []string
	apiRows(reflect.TypeFor[corev1.Pod](), map[reflect.Type]bool{}, newFieldIndex(), func(owner reflect.Type, a apiField) {
		key := [2]string{owner.Name(), a.name}
		order = append(order, owner.Name())
		if rows[key] == 0 {
			t.Errorf("%s.%s of the API has no row: say what podstead does with it", owner.Name(), a.name)
		}
		delete(rows, key)
	})
	for key := range rows {
		t.Errorf("the row of %s.%s has no field in the API that can be reached", key[0], key[1])
	}
	if len(order) < 100 {
		t.Errorf("only %d fields were walked", len(order))
	}
}

func TestDecoderKnowsTheKindOfEverySupportedField(t *testing.T) {
	index := newFieldIndex()
	apiRows(reflect.TypeFor[corev1.Pod](), map[reflect.Type]bool{}, index, func(owner reflect.Type, a apiField) {
		row, _ := index.find(owner.Name(), a.name)
		if row.Support != Supported {
			return
		}
		leaf := a.typ
		for leaf.Kind() == reflect.Pointer || leaf.Kind() == reflect.Slice || leaf.Kind() == reflect.Map {
			leaf = leaf.Elem()
		}
		switch leaf.Kind() {
		case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64, reflect.Struct:
		default:
			t.Errorf("%s.%s is a %s, which the decoder does not know", owner.Name(), a.name, leaf)
		}
	})
}

func TestRowsThatAreNotSupportedSayWhy(t *testing.T) {
	for _, f := range Fields() {
		if f.Support != Supported && f.Note == "" {
			t.Errorf("%s.%s is %s without a word", f.Type, f.Name, f.Support)
		}
		if (f.Support == Refused) != (f.Reason != "") {
			t.Errorf("%s.%s: %s with the reason %q", f.Type, f.Name, f.Support, f.Reason)
		}
	}
}

func TestPageOfFieldsIsFresh(t *testing.T) {
	page, err := os.ReadFile("../docs/pod-fields.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), FieldsPage()); diff != "" {
		t.Errorf("docs/pod-fields.md is stale: run go generate ./manifest\n%s", diff)
	}
	for _, f := range Fields() {
		found := false
		for _, home := range homes {
			found = found || home.typeName == f.Type
		}
		if !found {
			t.Errorf("%s has no place on the page", f.Type)
		}
	}
}
