// Package e2e tests the built podstead with a real containerd, in namespaces
// of its own.
package e2e

import (
	"testing"

	"github.com/podstead/podstead/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
