// In the place of go-conntrack, which the exporter-toolkit brings for an HTTP
// client that podstead does not use: see conntrack.go.
module github.com/mwitkow/go-conntrack

go 1.26
