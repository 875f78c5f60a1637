package source

import (
	"crypto/sha256"
	"slices"

	"github.com/podstead/podstead/pod"
)

const (
	// flapMemory is how many different answers are remembered, and flapCalm
	// how many equal ones in a row end the warning.
	flapMemory = 8
	flapCalm   = 10
)

// flapping notices answers that come back after another one: servers that
// disagree, or an old answer that is replayed.
type flapping struct {
	answers [][sha256.Size]byte // oldest first
	back    bool
	calm    int
}

func (f *flapping) changed(sum [sha256.Size]byte) {
	f.calm = 0
	if slices.Contains(f.answers, sum) {
		f.back = true
	}
	f.answers = append(f.answers, sum)
	f.answers = f.answers[max(0, len(f.answers)-flapMemory):]
}

func (f *flapping) same() {
	if f.calm++; f.calm >= flapCalm {
		f.back = false
	}
}

func (f *flapping) problem(origin pod.Origin) *pod.Problem {
	if !f.back {
		return nil
	}
	return &pod.Problem{
		Origin: origin, Severity: pod.Warning, Reason: pod.ReasonConflict,
		Message:     "the answer is one that another answer had replaced: it was rolled back, is replayed, or several servers disagree",
		Consequence: "each answer is used as it comes",
	}
}
