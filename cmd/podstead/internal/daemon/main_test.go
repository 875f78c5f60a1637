package daemon

import (
	"testing"

	"github.com/podstead/podstead/test/harness"
)

// TestMain keeps the networks that these tests make off the machine's own.
func TestMain(m *testing.M) { harness.Main(m) }
