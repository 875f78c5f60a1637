package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/podstead/podstead/pod"
)

// place is a 1-based line and column; the zero place is unknown.
type place struct{ line, column int }

// trouble is a problem before it is known whose it is.
type trouble struct {
	at       place
	severity pod.Severity // "" means error
	reason   pod.Reason
	field    string
	message  string
	got      string
	want     string
	// instead is the path of the field that was probably meant: complaints
	// that it is missing are left out.
	instead string
}

func (t trouble) problem(o pod.Origin, item int, key pod.ObjectKey) pod.Problem {
	o.Item, o.Line, o.Column = item, t.at.line, t.at.column
	return pod.Problem{
		Origin:   o,
		Severity: cmp.Or(t.severity, pod.Error),
		Reason:   t.reason,
		Kind:     key.Kind,
		Key:      key.Key,
		Field:    t.field,
		Message:  t.message,
		Got:      t.got,
		Want:     t.want,
	}
}

func compareTroubles(a, b trouble) int {
	return cmp.Or(
		cmp.Compare(a.at.line, b.at.line),
		cmp.Compare(a.at.column, b.at.column),
		cmp.Compare(a.field, b.field),
		cmp.Compare(a.reason, b.reason),
	)
}

// capTroubles orders the problems of an object. Of more than MaxProblems it
// keeps so many, errors rather than warnings, behind one that counts them.
func capTroubles(found []trouble) []trouble {
	slices.SortStableFunc(found, compareTroubles)
	if len(found) <= MaxProblems {
		return found
	}
	kept := slices.Clone(found)
	slices.SortStableFunc(kept, func(a, b trouble) int {
		return cmp.Compare(a.severity, b.severity) // "" before "warning"
	})
	kept = kept[:MaxProblems]
	severity := kept[0].severity
	slices.SortStableFunc(kept, compareTroubles)
	return append([]trouble{{
		at: kept[0].at, severity: severity, reason: pod.ReasonLimit,
		message: fmt.Sprintf("the object has %d problems; %d of them follow", len(found), MaxProblems),
	}}, kept...)
}

// maxQuoted is how much of a value is repeated to a person, in bytes.
const maxQuoted = 64

// quote makes a value from a manifest safe to print on one line.
func quote(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	cut := maxQuoted
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s... (%d bytes)", strconv.Quote(s[:cut]), len(s))
}
