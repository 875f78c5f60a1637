package checker

import (
	"fmt"
	"time"

	"github.com/podstead/podstead/test/record"
)

// container is what is known of one witness.
type container struct {
	id      string
	wanted  []wish
	runs    []run
	history History
	bounds  Bounds
	found   []Finding
}

func (c *container) find(v Verdict, at record.Moment, format string, args ...any) {
	c.found = append(c.found, Finding{Verdict: v, ID: c.id, At: at, Text: fmt.Sprintf(format, args...)})
}

// checkRuns judges each run by itself and by the one before it.
func (c *container) checkRuns() {
	for i, r := range c.runs {
		c.checkGeneration(r)
		if i == 0 {
			continue
		}
		before := c.runs[i-1]
		if before.to > r.from {
			c.find(Duplicate, r.from, "the run before it lived until %s", before.to)
		}
		if !c.explained(before, r) {
			c.find(UnexplainedRestart, r.from, "the run before it lived until %s and nothing tells why it ended", before.to)
		}
	}
}

// explained tells why a run may have been replaced by the next.
func (c *container) explained(before, next run) bool {
	if before.ended && !before.signalled && !c.final(before) || before.bootID != next.bootID {
		return true
	}
	for _, f := range c.history.Faults {
		if f.Target == c.id && f.From <= next.from && f.To.Add(c.bounds.Beat) >= before.to {
			return true
		}
	}
	if c.cutOff(before) {
		return true
	}
	// Any change of what is wanted of it between the two starts, looked at
	// with the delay that a change may take to arrive.
	for _, w := range c.wanted {
		if w.generation != before.generation && w.from <= next.from && w.to >= before.from {
			return true
		}
	}
	return false
}

// starting is how far from the beginning of a fault the runs begin whose start
// it cuts off.
const starting = time.Second

// cutOff tells of a run that began right when something above it was killed:
// of a start that is cut off nobody knows how far it came, and it is ended.
func (c *container) cutOff(r run) bool {
	for _, f := range c.history.Faults {
		if f.Target == "" && f.From <= r.from.Add(starting) && r.from <= f.From.Add(starting) {
			return true
		}
	}
	return false
}

// final tells whether a run's own end had to be the last one.
func (c *container) final(r run) bool {
	for _, w := range c.wanted {
		if w.generation == r.generation && w.final {
			return true
		}
	}
	return false
}

// checkGeneration looks for a run that was not wanted when it began, or that
// went on for too long after it ceased to be wanted.
func (c *container) checkGeneration(r run) {
	at := -1
	for i, w := range c.wanted {
		if w.generation == r.generation && w.generation != "" && w.from <= r.from {
			at = i
		}
	}
	if at < 0 {
		c.find(WrongGeneration, r.from, "it began with generation %q, which was not wanted by then", r.generation)
		return
	}
	last := c.wanted[at]
	if last.to == c.history.End {
		return
	}
	allowed := c.bounds.Recovery + 2*last.grace
	if late := c.calm(last.to, r.from); late > c.bounds.Recovery {
		c.find(WrongGeneration, r.from, "it began with generation %q %s after that ceased to be wanted", r.generation, late)
		return
	}
	late := c.calm(last.to, r.to)
	if late <= allowed || at+1 >= len(c.wanted) {
		return
	}
	if c.wanted[at+1].generation == "" {
		c.find(ZombiePod, r.to, "it still lived %s after its pod was removed, with a grace of %s", late, last.grace)
	} else {
		c.find(WrongGeneration, r.to, "generation %q still lived %s after %q was wanted", r.generation, late, c.wanted[at+1].generation)
	}
}

// checkLost looks for times in which the container was wanted and nothing of
// it lived for longer than the bound.
func (c *container) checkLost() {
	for _, w := range c.wanted {
		if w.generation == "" {
			continue
		}
		since := w.from
		for _, r := range c.runs {
			if r.to < w.from || r.from > w.to {
				continue
			}
			c.gap(since, r.from, w)
			since = max(since, r.to)
			if w.final && r.generation == w.generation && r.ended && !r.signalled {
				since = w.to // its work is done
			}
		}
		c.gap(since, w.to, w)
	}
}

func (c *container) gap(from, to record.Moment, w wish) {
	// The run that is replaced may take its grace before the next begins.
	if gone := c.calm(from, to); gone > c.bounds.Recovery+c.bounds.Beat+w.grace {
		c.find(Lost, to, "generation %q was wanted and did not live for %s since %s", w.generation, gone, from)
	}
}

// calm is how much of the time from one moment to another was free of faults
// above the containers or on this one.
func (c *container) calm(from, to record.Moment) time.Duration {
	if to <= from {
		return 0
	}
	var total time.Duration
	at := from
	for _, f := range c.history.Faults { // in the order of their beginning
		if f.Target != "" && f.Target != c.id || f.To <= at || f.From >= to {
			continue
		}
		if f.From > at {
			total += f.From.Sub(at)
		}
		at = max(at, f.To)
	}
	return total + max(0, to.Sub(at))
}
