package plan

import (
	"time"

	"github.com/podstead/podstead/pod"
)

// Bucket holds the restarts of failed containers that may be made at once on
// the whole server. It fills by RestartRate per second up to RestartBurst. The
// zero Bucket is full.
type Bucket struct {
	// Taken is how much was missing at a moment.
	Taken float64
	At    pod.Moment
}

// missing is how much of the bucket is missing at a moment.
func (s Settings) missing(b Bucket, now pod.Moment) float64 {
	return max(0, b.Taken-s.RestartRate*now.Sub(b.At).Seconds())
}

// TakeRestart takes a restart of a container out of the bucket, or says when
// there will be one. Those that failed again and again leave half of the bucket
// to those that ran well before: a storm of the former holds up none of the
// latter.
func (s Settings) TakeRestart(b Bucket, failures int, now pod.Moment) (after Bucket, at pod.Moment, ok bool) {
	size := float64(s.RestartBurst)
	if failures > 1 {
		size /= 2
	}
	size = max(1, size)
	missing := s.missing(b, now)
	if s.RestartRate <= 0 || missing+1 <= size {
		return Bucket{Taken: missing + 1, At: now}, now, true
	}
	wait := time.Duration((missing + 1 - size) / s.RestartRate * float64(time.Second))
	return b, now.Add(wait + time.Millisecond), false
}
