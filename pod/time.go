package pod

import "time"

// Moment is a point in time since the boot of this host, measured by
// CLOCK_BOOTTIME: it goes on during suspend and is not moved by anybody who
// sets the wall clock. 0 is the boot, and stands for anything before it.
type Moment time.Duration

// Add returns the moment d later.
func (m Moment) Add(d time.Duration) Moment { return m + Moment(d) }

// Sub returns the duration from earlier to m.
func (m Moment) Sub(earlier Moment) time.Duration { return time.Duration(m - earlier) }

// Stamp is when something happened: the moment decides, the wall clock is for
// display only. The zero Stamp means that it did not happen.
type Stamp struct {
	Moment Moment    `json:"moment"`
	Wall   time.Time `json:"wall"`
}

// IsZero tells whether the thing did not happen.
func (s Stamp) IsZero() bool { return s.Wall.IsZero() && s.Moment == 0 }
