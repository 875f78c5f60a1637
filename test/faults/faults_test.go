package faults

import (
	"flag"
	"testing"
	"time"

	"github.com/podstead/podstead/test/checker"
	"github.com/podstead/podstead/test/harness"
)

var (
	duration = flag.Duration("faults.duration", 3*time.Minute, "how long faults are injected, in all")
	seed     = flag.Uint64("faults.seed", 0, "seed of the random choices; 0 takes one from the clock")
)

// burst is how many faults follow each other before everything must have
// become as it is wanted.
const burst = 15

// What is in order while nothing above the containers is troubled, on a
// machine that has time for us.
const (
	recovery = 20 * time.Second
	beat     = 3 * time.Second
)

func TestFaults(t *testing.T) {
	number := *seed
	if number == 0 {
		number = uint64(time.Now().UnixNano())
	}
	c := newCampaign(t, number)
	t.Logf("seed %d, faults for %s", number, *duration)
	defer func() {
		t.Logf("seed %d: %d faults in %s, load up to %.0f: %s", number, c.faults, time.Since(c.begun).Round(time.Second), c.load, c.summary())
	}()
	outside := harness.Outside(t)
	c.host.Start()
	before := c.host.Settled()
	for _, s := range c.subjects {
		c.restore(s)
		c.host.WaitPod(s.key(), time.Minute, begun)
	}
	c.settle(time.Minute)
	stop := c.ask(outside)
	c.begun = time.Now()

	// What remains is for the end.
	for end := c.begun.Add(*duration - min(*duration/4, 30*time.Second)); time.Now().Before(end) && !t.Failed(); {
		for range burst {
			c.idle(c.upTo(time.Second))
			c.strike()
		}
		c.settle(time.Minute)
	}
	stop()
	c.end()
	c.host.Judge(checker.Bounds{Recovery: c.within(recovery), Beat: c.within(beat)})
	c.codes()
	c.host.NoLeaks(before, time.Minute)
}

// end takes every manifest away.
func (c *campaign) end() {
	for _, s := range c.subjects {
		if s.mode != absent {
			c.remove(s)
		}
	}
	c.settle(time.Minute)
}
