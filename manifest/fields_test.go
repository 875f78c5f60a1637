package manifest

import (
	"os"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// apiRows walks the types of the Pod API and calls visit for each field that
// can be reached through supported fields.
func apiRows(t reflect.Type, seen map[reflect.Type]bool, index fieldIndex, visit func(owner reflect.Type, a apiField)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == quantityType || t == numberOrText || seen[t] {
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
	walked := 0
	seen := map[reflect.Type]bool{}
	for _, kind := range kindRows() {
		apiRows(kind.typ, seen, newFieldIndex(), func(owner reflect.Type, a apiField) {
			walked++
			key := [2]string{owner.Name(), a.name}
			if rows[key] == 0 {
				t.Errorf("%s.%s of the API has no row: say what podstead does with it", owner.Name(), a.name)
			}
			delete(rows, key)
		})
	}
	names := map[string]reflect.Type{}
	for typ := range seen {
		if other, taken := names[typ.Name()]; taken {
			t.Errorf("the rows of %s are those of %s too: types need different names", typ, other)
		}
		names[typ.Name()] = typ
	}
	for key := range rows {
		t.Errorf("the row of %s.%s has no field in the API that can be reached", key[0], key[1])
	}
	if walked < 200 {
		t.Errorf("only %d fields were walked", walked)
	}
}

func TestDecoderKnowsTheKindOfEverySupportedField(t *testing.T) {
	index := newFieldIndex()
	seen := map[reflect.Type]bool{}
	for _, kind := range kindRows() {
		apiRows(kind.typ, seen, index, func(owner reflect.Type, a apiField) {
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

func TestPagesOfFieldsAreFresh(t *testing.T) {
	onPages := map[string]int{}
	for _, p := range Pages() {
		page, err := os.ReadFile("../docs/" + p.Name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(page), p.Text()); diff != "" {
			t.Errorf("docs/%s.md is stale: run go generate ./manifest\n%s", p.Name, diff)
		}
		for _, h := range p.homes {
			onPages[h.typeName]++
		}
	}
	for _, f := range Fields() {
		if onPages[f.Type] != 1 {
			t.Errorf("%s has %d places on the pages, want one", f.Type, onPages[f.Type])
		}
	}
}
