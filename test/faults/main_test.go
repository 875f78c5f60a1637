// Package faults kills podstead and containerd at random moments while
// manifests change at random, and lets a judge that knows nothing of podstead
// say afterwards what happened to the containers.
package faults

import (
	"testing"

	"github.com/podstead/podstead/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
