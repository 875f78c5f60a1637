// Package bench measures what podstead costs, beside a client of containerd
// that starts the same containers and does nothing else. It measures only when
// asked to:
//
//	go test -run '^TestBench' -v ./test/bench -args -bench.run
package bench

import (
	"flag"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
)

// What is measured, and how often.
var (
	flagRun   = flag.Bool("bench.run", false, "measure and print the table")
	flagWrite = flag.Bool("bench.write", false, "measure, print the table and write it into docs/performance.md")
	flagPairs = flag.Int("bench.pairs", 15, "pairs of single pods and of crashes")
	flagFills = flag.Int("bench.fills", 3, "pairs of many pods at once")
	flagPods  = flag.Int("bench.pods", 100, "how many pods are many")
	flagProbe = flag.Int("bench.probed", 50, "how many pods with twelve probes of 1 s each are watched for 30 s")
	flagIdle  = flag.Duration("bench.idle", 75*time.Second, "how long idle pods are watched")
)

func TestMain(m *testing.M) { harness.Main(m) }

// TestBench fails when a budget of the design is exceeded.
func TestBench(t *testing.T) {
	if !*flagRun && !*flagWrite {
		t.Skip("measures only with -args -bench.run or -bench.write: make bench")
	}
	load := loadAverage(t)
	// The logger's own work would count as podstead's at level debug.
	h := harness.New(t, harness.Options{Config: "log: {level: info, format: json}\nmetrics: {address: \"" + metricsAddress + "\"}\n"})
	h.AddWitnessImage(witnessImage)
	h.Start()
	ours := &podstead{t: t, h: h}
	bare := newBare(t, h, ours.template())

	var report table
	single(t, &report, ours, bare)
	many(t, &report, ours, bare)
	idle(&report, ours)
	scrapes(&report, ours)
	restart(&report, ours)
	probed(&report, ours)
	sizes(t, &report, h)
	h.Stop()

	text := report.String()
	t.Logf("load %s before\n%s", load, text)
	if *flagWrite {
		writePage(t, text, load)
	}
	for _, r := range report.rows {
		if r.exceeded() {
			t.Errorf("over the budget: %s", r)
		}
	}
}
