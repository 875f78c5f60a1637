package manifest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/podstead/podstead/manifest/validation"
	"github.com/podstead/podstead/pod"
)

// Limits of what is read, so that no input costs more than about a second or
// some tens of megabytes.
const (
	// DefaultMaxBytes is the size of a file, 1 MiB.
	DefaultMaxBytes = 1 << 20
	// MaxDepth is how deep mappings and lists may nest.
	MaxDepth = 64
	// MaxNodes is how many keys and values an object (a document, an entry
	// of a list) may have, and how many the aliases of a file may stand for.
	MaxNodes = 10_000
	// MaxDocumentNodes is how many keys and values the document of a List
	// may have in all, as far as its punctuation tells.
	MaxDocumentNodes = 150_000
	// MaxObjects is how many documents and entries of lists a file may have.
	MaxObjects = 10_000
	// MaxProblems is how many problems are reported for one object.
	MaxProblems = 100
)

// Options says where the bytes come from and how many may be read.
type Options struct {
	// Origin names the source and file; Item, Line and Column are ignored.
	Origin pod.Origin
	// MaxBytes is the largest input, DefaultMaxBytes if 0.
	MaxBytes int
	// Check finds more that is wrong with a defaulted object, such as what the
	// policy of its source forbids; nil for nothing. It must not change the
	// object. Its errors are reported like all others, with their positions.
	Check func(*pod.Object) []validation.Error
}

// FailedDocument is an object that can't be used.
type FailedDocument struct {
	// Key is the object that it would have been. Its kind is empty when only
	// the name can be told; it is zero when not even that can, so that
	// anything which came from this file may be meant.
	Key  pod.ObjectKey
	Item int
}

// Result is everything that an input holds.
type Result struct {
	// Pods, and Objects of other kinds, are defaulted, valid, and in the order
	// of the input.
	Pods    []pod.Desired
	Objects []pod.Object
	// Problems are the errors and the warnings, by position. The warnings of
	// the objects above are among them.
	Problems []pod.Problem
	// Failed are the objects with errors, in the order of the input. An
	// input that is empty or unreadable as a whole counts as one.
	Failed []FailedDocument
}

// Parse reads YAML (any number of documents) or JSON. Every document and
// every entry of a List, PodList and the like is judged on its own: an error in
// one does not keep the others from being used. A List without entries is a
// valid input without objects; an empty input is an error.
func Parse(data []byte, o Options) Result {
	p := parser{origin: o.Origin, check: o.Check, fields: newFieldIndex()}
	p.file(data, cmp.Or(o.MaxBytes, DefaultMaxBytes))
	slices.SortStableFunc(p.result.Problems, comparePlaces)
	return p.result
}

// parser collects the result of one input.
type parser struct {
	origin pod.Origin
	check  func(*pod.Object) []validation.Error
	fields fieldIndex
	result Result
	items  int
	// emptyList: a list said on purpose that there are no objects.
	emptyList bool
}

func (p *parser) file(data []byte, maxBytes int) {
	if t := checkBytes(data, maxBytes); t != nil {
		p.fail(*t)
		return
	}
	for _, s := range splitDocuments(trimBOM(data)) {
		if p.full(place{s.line, 1}) {
			return
		}
		roots, t := s.parse()
		for _, root := range roots {
			if p.full(root.at) {
				return
			}
			p.document(root)
		}
		if t != nil {
			p.fail(*t)
		}
	}
	if p.items == 0 && len(p.result.Failed) == 0 && !p.emptyList {
		p.fail(trouble{
			reason: pod.ReasonEmpty, at: place{1, 1},
			message: "there is no object in it; to remove what it held, remove the file",
			want:    supportedKinds(),
		})
	}
}

// full tells, and reports once, that no more objects are looked at.
func (p *parser) full(at place) bool {
	if p.items == MaxObjects {
		p.fail(trouble{
			at: at, reason: pod.ReasonTooComplex,
			message: fmt.Sprintf("what follows is not read: there are more than %d objects", MaxObjects),
		})
	}
	return p.items > MaxObjects
}

// fail records an object of which nothing but one problem is known.
func (p *parser) fail(t trouble) {
	p.finish(pod.ObjectKey{}, []trouble{t})
}

// finish records the problems of an object and counts it. It returns the
// warnings, and whether the object failed.
func (p *parser) finish(key pod.ObjectKey, found []trouble) (warnings []pod.Problem, failed bool) {
	warnings, failed = p.record(key, found)
	p.items++
	return warnings, failed
}

// record adds problems, and a failure when one of them is an error.
func (p *parser) record(key pod.ObjectKey, found []trouble) (warnings []pod.Problem, failed bool) {
	item := p.items
	for _, t := range capTroubles(found) {
		problem := t.problem(p.origin, item, key)
		p.result.Problems = append(p.result.Problems, problem)
		if problem.Severity == pod.Error {
			failed = true
		} else {
			warnings = append(warnings, problem)
		}
	}
	if failed {
		p.result.Failed = append(p.result.Failed, FailedDocument{Key: key, Item: item})
	}
	return warnings, failed
}

func comparePlaces(a, b pod.Problem) int {
	return cmp.Or(
		cmp.Compare(a.Origin.Line, b.Origin.Line),
		cmp.Compare(a.Origin.Column, b.Origin.Column),
		cmp.Compare(a.Origin.Item, b.Origin.Item),
		cmp.Compare(a.Field, b.Field),
		cmp.Compare(a.Reason, b.Reason),
		cmp.Compare(a.Message, b.Message),
	)
}
