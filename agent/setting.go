package agent

import (
	"time"

	"github.com/podstead/podstead/pod"
)

// The back-off of setting things that are set whole.
const (
	settingRetry    = time.Second
	settingRetryMax = 30 * time.Second
)

// setting is how far something that is set whole, by one operation at a time,
// is what it is to be.
type setting struct {
	// changed tells that what is wanted differs from what was set last.
	changed bool
	busy    bool
	// at is when to try again after failures.
	at       pod.Moment
	failures int
}

// begin tells whether it is to be set now, and takes note that it is.
func (s *setting) begin(now pod.Moment) bool {
	if !s.changed || s.busy || now < s.at {
		return false
	}
	s.changed, s.busy = false, true
	return true
}

// end takes note of what came of it.
func (s *setting) end(err error, now pod.Moment) {
	s.busy = false
	if err == nil {
		s.at, s.failures = 0, 0
		return
	}
	s.changed = true
	s.at = now.Add(min(settingRetry<<min(s.failures, 10), settingRetryMax))
	s.failures++
}

// wake is when it is to be tried again; 0 if nothing waits for that.
func (s *setting) wake() pod.Moment {
	if !s.changed || s.busy {
		return 0
	}
	return s.at
}
