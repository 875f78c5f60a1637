package pod

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Origin says where something was read.
type Origin struct {
	// Source is the configured name of the source; empty when a file was
	// named on the command line.
	Source string `json:"source,omitempty"`
	// File is a path, or the URL of a URL source.
	File string `json:"file"`
	// Item counts the objects of the file or answer from 0: documents of a
	// YAML stream and entries of a List alike.
	Item int `json:"item"`
	// Line and Column are 1-based; 0 where the position is not known.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// String returns "FILE:LINE:COL" for files and "URL#item[N]" for URLs.
func (o Origin) String() string {
	switch {
	case strings.Contains(o.File, "://"):
		return fmt.Sprintf("%s#item[%d]", o.File, o.Item)
	case o.Line == 0:
		return o.File
	default:
		return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
	}
}

// Desired is a pod that a source wants. The pod is defaulted and validated
// and is shared between goroutines: nobody changes it.
type Desired struct {
	Key    Key
	Pod    *corev1.Pod
	Origin Origin
	// Warnings tell of fields that were accepted but have no effect.
	Warnings []Problem
}

// Reason classifies a Problem; the set is closed (see the constants).
type Reason string

// The reasons of problems with manifests.
const (
	ReasonSyntax             Reason = "syntax"
	ReasonEncoding           Reason = "encoding"
	ReasonEmpty              Reason = "empty"
	ReasonTooLarge           Reason = "too-large"
	ReasonTooComplex         Reason = "too-complex"
	ReasonDuplicateKey       Reason = "duplicate-key"
	ReasonUnsupportedKind    Reason = "unsupported-kind"
	ReasonUnsupportedVersion Reason = "unsupported-version"
	ReasonUnknownField       Reason = "unknown-field"
	ReasonUnsupportedField   Reason = "unsupported-field"
	ReasonIgnoredField       Reason = "ignored-field"
	ReasonType               Reason = "type"
	ReasonRequired           Reason = "required"
	ReasonDuplicate          Reason = "duplicate"
	ReasonLimit              Reason = "limit"
	ReasonInvalid            Reason = "invalid"
	ReasonInvalidName        Reason = "invalid-name"
	ReasonInvalidImage       Reason = "invalid-image"
	ReasonInvalidQuantity    Reason = "invalid-quantity"
	ReasonInvalidPort        Reason = "invalid-port"
	ReasonInvalidProbe       Reason = "invalid-probe"
	ReasonInvalidMount       Reason = "invalid-mount"
	ReasonNoSuchReference    Reason = "no-such-ref"
	ReasonPolicy             Reason = "policy"
	ReasonConflict           Reason = "conflict"
	ReasonUnreadable         Reason = "unreadable"
)

// Severity tells errors from warnings.
type Severity string

// An Error keeps its object from being used; a Warning does not.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing that is wrong with a manifest or a source. It names
// the place, the object, the field, what was found and what is allowed. What
// happens now depends on who reads it (see Consequence).
type Problem struct {
	Origin   Origin   `json:"origin"`
	Severity Severity `json:"severity"`
	Reason   Reason   `json:"reason"`
	// Key is the pod concerned; zero when it could not be told.
	Key Key `json:"key"`
	// Field is the path of the field, such as spec.containers[0].image;
	// empty when the whole document is meant.
	Field string `json:"field,omitempty"`
	// Message says in words what is wrong.
	Message string `json:"message"`
	// Got and Want are what was found and what is allowed.
	Got  string `json:"got,omitempty"`
	Want string `json:"want,omitempty"`
	// Consequence says what happens now, such as "the running pod stays as
	// it is". Parsers leave it empty; sources and the agent fill it in.
	Consequence string `json:"consequence,omitempty"`
}

// String is the one line that check, the log and describe print:
//
//	FILE:LINE:COL: FIELD: REASON: message (got X, want Y)
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Origin.String())
	if strings.Contains(p.Origin.File, "://") && p.Key != (Key{}) {
		b.WriteString(" (" + p.Key.String() + ")") // an answer has no lines to look at
	}
	b.WriteString(": ")
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(string(p.Reason))
	if p.Message != "" {
		b.WriteString(": " + p.Message)
	}
	switch {
	case p.Got != "" && p.Want != "":
		fmt.Fprintf(&b, " (got %s, want %s)", p.Got, p.Want)
	case p.Got != "":
		fmt.Fprintf(&b, " (got %s)", p.Got)
	case p.Want != "":
		fmt.Fprintf(&b, " (want %s)", p.Want)
	}
	return b.String()
}

// SourceState is everything that one source wants, whole: what is not in it
// is not wanted, except as Synced, Unreadable and Held say. A source sends a
// new value whenever anything in it changed.
type SourceState struct {
	Name string `json:"name"`
	// Kind is "directory" or "url"; Location its path or URL.
	Kind     string `json:"kind"`
	Location string `json:"location"`
	// Priority orders sources that want the same pod: lower wins. It is the
	// position in the configuration.
	Priority int `json:"priority"`
	// Synced is false until the source was read once or its last good copy
	// was loaded. Until then no pod of this source is stopped.
	Synced bool `json:"synced"`
	// Pods are sorted by key, then by file and item. Two entries with one key
	// are a conflict that the agent resolves.
	Pods []Desired `json:"-"`
	// Objects are the objects of other kinds, sorted by kind and key, then by
	// file and item, with the same rule for conflicts.
	Objects []Object `json:"-"`
	// Unreadable names the files which exist but of which neither the
	// present nor a last good content is known: pods that run from them are
	// kept as they are.
	Unreadable []string `json:"unreadable,omitempty"`
	// Problems lists every present problem of the source and its manifests.
	Problems []Problem `json:"problems,omitempty"`
	// Error is why the source as a whole could not be read last time; empty
	// when it could. ErrorReason is its class, such as "timeout" or "tls".
	Error       string `json:"error,omitempty"`
	ErrorReason string `json:"errorReason,omitempty"`
	// LastSuccess is when the source was last read whole, by the wall clock.
	LastSuccess time.Time `json:"lastSuccess"`
	// Held tells that the mass-delete guard keeps pods which the source's
	// last answer omits; empty when it does not.
	Held []Key `json:"held,omitempty"`
}
