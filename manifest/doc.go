// Package manifest turns bytes into objects: it decodes strictly, fills in the
// defaults of the Kubernetes API, and finds everything that is wrong at once,
// each problem with file, line, column and field. One table says for every
// field of every supported kind whether it is supported, ignored with a
// warning, or refused (see Fields, and the pages of fields in docs).
//
// The package is pure: it reads no file, clock or network, starts nothing and
// keeps nothing, so the same bytes always give the same answer, and every
// function may be called from any goroutine.
package manifest

//go:generate sh -c "go run ./internal/fieldpages pod-fields > ../docs/pod-fields.md"
//go:generate sh -c "go run ./internal/fieldpages workload-fields > ../docs/workload-fields.md"
//go:generate sh -c "go run ./internal/fieldpages service-fields > ../docs/service-fields.md"
