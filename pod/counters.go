package pod

import (
	"slices"
	"time"
)

// RestartCause is why a run of a container was followed by another.
type RestartCause string

// The causes of restarts.
const (
	RestartExit     RestartCause = "exit"     // it ended by itself
	RestartOOM      RestartCause = "oom"      // the kernel killed it for want of memory
	RestartLiveness RestartCause = "liveness" // a probe or its postStart hook failed
	RestartStopped  RestartCause = "stopped"  // it was stopped: a changed spec, a request
	RestartRuntime  RestartCause = "runtime"  // it ended and nobody knows how
)

// PullResult is how the fetching of an image ended.
type PullResult string

// The results of pulls.
const (
	PullSuccess PullResult = "success"
	PullFailure PullResult = "failure"
	// PullPresent: the registry could not be asked, the present image is used.
	PullPresent PullResult = "present"
)

// RolloutResult is what became of a rollout.
type RolloutResult string

// The results of rollouts. One that failed and was rolled back counts for
// both.
const (
	RolloutComplete   RolloutResult = "complete"
	RolloutFailed     RolloutResult = "failed"
	RolloutRolledBack RolloutResult = "rolled_back"
)

// Counters are what the agent counted since podstead was started. They hold
// what can't be told from the present state. A reader sees immutable values.
type Counters struct {
	// Restarts are runs after the first of a container, by cause.
	Restarts map[RestartCause]uint64
	// Operations are by kind, such as start or teardown.
	Operations map[string]OperationCounter
	Pulls      map[PullResult]uint64
	// PullSeconds is how long images took that were fetched.
	PullSeconds Histogram
	// StartSeconds is the time from the moment that a pod was wanted to the
	// moment that all its containers had been started.
	StartSeconds Histogram
	// Relists counts listings of everything; RelistGaps the time between two.
	Relists, RelistGaps Histogram
	// SourceStates counts what sources handed over, by source and result.
	SourceStates map[SourceResult]uint64
	// Leftovers counts what an earlier podstead left and was removed, by kind.
	Leftovers map[string]uint64
	// ImagesCollected counts images that were removed, by reason: space or age.
	ImagesCollected map[string]uint64
	// ImageBytes is what they took, LayersDropped counts writable layers of
	// dead containers, CollectErrors what could not be removed.
	ImageBytes, LayersDropped, CollectErrors uint64
	// Rollouts counts those that ended, by result.
	Rollouts map[RolloutResult]uint64
	// Recoveries counts damaged records that were begun anew.
	Recoveries uint64
	// Queued are pods that wait for a free slot, Running operations in flight.
	Queued, Running int
}

// SourceResult is a source and how its reading went: "success" or the class
// of the error.
type SourceResult struct{ Source, Result string }

// OperationCounter counts operations of one kind.
type OperationCounter struct {
	Errors  uint64
	Seconds Histogram
}

// histogramBounds are the upper bounds of the buckets of a Histogram in
// seconds, from quick system calls to slow pulls.
var histogramBounds = [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// Histogram counts durations.
type Histogram struct {
	Count uint64
	// Sum is in seconds.
	Sum float64
	// Buckets counts by HistogramBounds, each bucket for itself; what is above
	// the last bound is in none.
	Buckets [len(histogramBounds)]uint64
}

// HistogramBounds returns the upper bounds of the buckets in seconds.
func HistogramBounds() []float64 { return slices.Clone(histogramBounds[:]) }

// With returns the histogram with one more duration.
func (h Histogram) With(d time.Duration) Histogram {
	s := max(0, d.Seconds())
	h.Count++
	h.Sum += s
	if i, _ := slices.BinarySearch(histogramBounds[:], s); i < len(h.Buckets) {
		h.Buckets[i]++
	}
	return h
}
