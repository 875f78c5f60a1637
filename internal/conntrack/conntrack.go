// Package conntrack is what github.com/prometheus/common/config needs of
// go-conntrack to be built: dialers, without traces and counters. The real one
// brings golang.org/x/net/trace and with it html/template, whose reflection
// keeps the linker from leaving out any exported method of podstead.
package conntrack

import (
	"context"
	"net"
)

// DialFunc is net.Dialer's DialContext.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// Option changes the dialer that NewDialContextFunc returns.
type Option func(*DialFunc)

// DialWithTracing changes nothing.
func DialWithTracing() Option { return func(*DialFunc) {} }

// DialWithName changes nothing.
func DialWithName(string) Option { return func(*DialFunc) {} }

// DialWithDialContextFunc dials by another function.
func DialWithDialContextFunc(f DialFunc) Option { return func(d *DialFunc) { *d = f } }

// NewDialContextFunc returns a dialer.
func NewDialContextFunc(options ...Option) DialFunc {
	dial := (&net.Dialer{}).DialContext
	for _, o := range options {
		o(&dial)
	}
	return dial
}
