// Package manifest turns bytes into pods: it decodes strictly, fills in the
// defaults of the Kubernetes API, and finds everything that is wrong at once,
// each problem with file, line, column and field. One table says for every
// field of the Pod API whether it is supported, ignored with a warning, or
// refused (see Fields and docs/pod-fields.md).
//
// The package is pure: it reads no file, clock or network, starts nothing and
// keeps nothing, so the same bytes always give the same answer, and every
// function may be called from any goroutine.
package manifest

//go:generate sh -c "go run ./internal/podfields > ../docs/pod-fields.md"
