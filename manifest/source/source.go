// Package source turns directories and URLs into whole snapshots of wanted
// objects (pod.SourceState), and keeps the last good version of everything
// that can't be read: a broken document, a missing folder, a dead server or a
// corrupt answer never removes anything. An object leaves a snapshot only when
// its file was removed, or when a successfully read file or answer omits it.
package source

import (
	"time"

	"github.com/podstead/podstead/pod"
)

// Kinds of sources, as in pod.SourceState.Kind.
const (
	KindDirectory = "directory"
	KindURL       = "url"
)

// The classes of source errors (pod.SourceState.ErrorReason). The set is
// closed, because metrics use it as a label.
const (
	ReasonMissing     = "missing"      // the directory, or what should be mounted on it, is not there
	ReasonUntrusted   = "untrusted"    // somebody other than root can write there
	ReasonUnreadable  = "unreadable"   // the operating system refuses or fails to read
	ReasonTimeout     = "timeout"      // no answer, or too slow a one
	ReasonDNS         = "dns"          // the host's name can't be resolved
	ReasonNetwork     = "network"      // connection refused, reset or cut off
	ReasonTLS         = "tls"          // the peers don't trust each other
	ReasonTLSTime     = "tls-time"     // a certificate expired or is not yet valid
	ReasonCredentials = "credentials"  // own CA, certificate, key or headers can't be used
	ReasonStatus      = "status"       // an HTTP status other than 200 and 304
	ReasonRedirect    = "redirect"     // a redirect to another origin, or too many
	ReasonEmpty       = "empty"        // an answer without any object
	ReasonTooLarge    = "too-large"    // more bytes than allowed
	ReasonContentType = "content-type" // neither YAML nor JSON
	ReasonParse       = "parse"        // no object of the answer could be told
)

// Failed is a document that can't be used.
type Failed struct {
	// Key is the object that the document is about. Its kind is empty when
	// only the name can be told; it is zero when not even that can.
	Key pod.ObjectKey
	// Item counts the objects of the file or answer from 0.
	Item int
}

// Parsed is what a file or answer holds.
type Parsed struct {
	Pods []pod.Desired
	// Objects are those that are no pods.
	Objects  []pod.Object
	Problems []pod.Problem
	// Failed lists the documents of which the problems are errors. An error
	// that no entry of Failed has the item of counts as a document of which
	// nothing can be told.
	Failed []Failed
}

// All returns pods and other objects alike, in a list of its own.
func (p Parsed) All() []pod.Object {
	all := make([]pod.Object, 0, len(p.Pods)+len(p.Objects))
	for _, d := range p.Pods {
		all = append(all, objectOf(d))
	}
	return append(all, p.Objects...)
}

func (p *Parsed) add(o pod.Object) {
	if o.Kind == pod.KindPod {
		p.Pods = append(p.Pods, desiredOf(o))
		return
	}
	p.Objects = append(p.Objects, o)
}

// Parser turns the bytes of a file or answer into objects. It is pure, and may
// be called by several goroutines at once.
type Parser func(data []byte, origin pod.Origin) Parsed

// Limits judges all objects of a source together, pods among them. Errors say
// that they are too many, and more objects never make fewer errors. Which
// object an error names does not matter: those that were wanted already stay.
// It is pure; nil allows everything.
type Limits func([]pod.Object) []pod.Problem

// rejection is the error of a source as a whole.
type rejection struct {
	reason string
	err    error
}

func (r *rejection) Error() string { return r.err.Error() }
func (r *rejection) Unwrap() error { return r.err }

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// earliest returns the first of the given times that is set.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
