package faults

import (
	"flag"
	"testing"
	"time"

	"github.com/podstead/podstead/test/checker"
	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

var restarts = flag.Int("faults.restarts", 30, "how often podstead is restarted under pods that are left alone")

// TestRestarts stops and kills podstead in turns, and starts it again, under
// pods whose manifests nobody changes. No container is restarted by that, and
// no question to a pod stays without an answer.
func TestRestarts(t *testing.T) {
	c := newCampaign(t, 0)
	outside := harness.Outside(t)
	c.host.Start()
	before := c.host.Settled()
	for _, s := range c.subjects {
		c.restore(s)
		c.host.WaitPod(s.key(), time.Minute, begun)
	}
	c.settle(time.Minute)
	runs := c.steadyRuns()
	stop := c.ask(outside)
	begun := time.Now()
	for n := range *restarts {
		from := record.Now()
		if n%2 == 0 {
			c.host.Stop()
		} else {
			c.host.Kill9()
		}
		c.host.Start()
		c.host.Fault("restart podstead", "", from)
	}
	t.Logf("%d restarts within %s", *restarts, time.Since(begun).Round(time.Second))
	stop()
	c.settle(time.Minute)
	for id, n := range c.steadyRuns() {
		if n != runs[id] {
			t.Errorf("%s had %d runs, %d before podstead was restarted", id, n, runs[id])
		}
	}
	c.end()
	c.host.Judge(checker.Bounds{Recovery: c.within(recovery), Beat: c.within(beat)})
	c.codes()
	c.host.NoLeaks(before, time.Minute)
	t.Logf("load up to %.0f: %s", c.load, c.summary())
}

// steadyRuns counts the runs of each container that never ends by itself.
func (c *campaign) steadyRuns() map[string]int {
	runs := map[string]int{}
	for _, s := range c.subjects {
		for _, p := range s.parts {
			if !p.exits {
				runs[s.id(p.name)] = len(c.runs(s.id(p.name)))
			}
		}
	}
	return runs
}
