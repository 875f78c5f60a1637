package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

// campaign is one run: a host, its pods, and the one who troubles them.
type campaign struct {
	t        *testing.T
	host     *harness.Host
	random   *rand.Rand
	subjects []*subject
	counts   map[string]int
	faults   int
	begun    time.Time
	shown    time.Time
	journal  *os.File
	load     float64 // the highest average of runnable tasks
}

func newCampaign(t *testing.T, seed uint64) *campaign {
	t.Helper()
	h := harness.New(t, harness.Options{Config: "restart: {base: 1s, max: 3s, reset: 1m}\n"})
	for n := range 2 {
		h.AddWitnessImage(imageOf(n))
	}
	journal, err := os.Create(filepath.Join(h.Dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { journal.Close() })
	return &campaign{
		t: t, host: h, random: rand.New(rand.NewPCG(seed, 0)), subjects: subjects(),
		counts: map[string]int{}, begun: time.Now(), shown: time.Now(), journal: journal,
	}
}

func (c *campaign) chance(p float64) bool { return c.random.Float64() < p }

// upTo is a random time up to a bound.
func (c *campaign) upTo(d time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(d)))
}

func (c *campaign) count(what string) { c.counts[what]++ }

// log writes down what was done, for those who look for the cause of a
// finding.
func (c *campaign) log(format string, args ...any) {
	fmt.Fprintf(c.journal, "%s %s %s\n", time.Now().Format("15:04:05.000"), record.Now(), fmt.Sprintf(format, args...))
}

// idle lets time pass in which manifests change.
func (c *campaign) idle(d time.Duration) {
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		time.Sleep(min(left, c.upTo(500*time.Millisecond)))
		if c.chance(0.4) {
			c.edit()
		}
		c.progress()
	}
}

// ready waits, while manifests change, until podstead and containerd serve.
func (c *campaign) ready() {
	c.t.Helper()
	for deadline := time.Now().Add(c.within(time.Minute)); ; {
		err := c.host.Ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("not ready long after the fault: %v", err)
		}
		c.idle(50 * time.Millisecond)
	}
}

// progress shows now and then that the campaign goes on.
func (c *campaign) progress() {
	if time.Since(c.shown) < 10*time.Second {
		return
	}
	c.shown = time.Now()
	c.look()
	c.t.Logf("%4.0fs: %d faults, %d changes of manifests", time.Since(c.begun).Seconds(), c.faults, c.counts["edit"]+c.counts["remove"]+c.counts["spoil"])
}

func (c *campaign) summary() string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, c.counts[what]))
	}
	return strings.Join(parts, ", ")
}
