package harness

import (
	"github.com/podstead/podstead/test/checker"
	"github.com/podstead/podstead/test/record"
)

// Judge lets the checker look at everything that was written down on this
// host and fails the test for each finding.
func (h *Host) Judge(b checker.Bounds) {
	h.t.Helper()
	history, err := checker.Load(h.Witness, h.manifestLog(), h.faultLog(), record.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range checker.Check(history, b) {
		h.t.Error(f)
	}
}
