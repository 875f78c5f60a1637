package network

import (
	"net"
	"os"
	"slices"
	"testing"
)

// The interfaces are those of the process' own namespace, without loopback.
func TestCountersNameInterfaces(t *testing.T) {
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, l := range links {
		if l.Name != "lo" {
			want = append(want, l.Name)
		}
	}
	slices.Sort(want)
	counters, err := Counters(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range counters {
		got = append(got, c.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("interfaces %q, want %q", got, want)
	}
	if _, err := Counters(1 << 30); err == nil {
		t.Error("a process that is not there has interfaces")
	}
}
