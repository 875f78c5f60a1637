package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

// The budgets of the design: ratios to the bare client, and absolute ones.
const (
	maxSingle  = 1.5
	maxMany    = 1.3
	maxCrash   = 1.5
	maxMiB     = 45.0
	maxPercent = 0.5
	maxWritten = 0.0
	maxScrape  = 50.0 // milliseconds
	maxMisses  = 0.0
)

// settle is how long pods that have just started are left alone before they
// count as idle.
const settle = 20 * time.Second

// alternate lets both sides take turns in going first, so that neither always
// meets what the other one left.
func alternate(rounds int, a, b func(round int)) {
	for i := range rounds {
		if i%2 == 0 {
			a(i)
			b(i)
		} else {
			b(i)
			a(i)
		}
	}
}

// single measures one pod at a time, and the first restart after a crash.
func single(t *testing.T, report *table, ours *podstead, bare *bare) {
	t.Helper()
	if *flagPairs == 0 {
		return
	}
	var our, their lives
	alternate(*flagPairs,
		func(i int) { our = append(our, ours.one(fmt.Sprintf("one-%d", i))) },
		func(i int) { their = append(their, bare.one(fmt.Sprintf("bare-%d", i))) })
	t.Logf("single: podstead %v, bare %v", our, their)
	start, ready := func(l life) time.Duration { return l.start }, func(l life) time.Duration { return l.ready }
	again, readyAgain := func(l life) time.Duration { return l.again }, func(l life) time.Duration { return l.readyAgain }
	report.ratio("one pod with its network: manifest renamed into place → process running", our.sample(start), their.sample(start), maxSingle)
	report.ratio("crash → running again, first restart", our.sample(again), their.sample(again), maxCrash)
	report.compare("one pod with its network: manifest renamed into place → Ready by an HTTP probe of period 1 s (bare client: it answers)", our.sample(ready), their.sample(ready))
	report.compare("crash → Ready again by that probe (bare client: it answers)", our.sample(readyAgain), their.sample(readyAgain))
}

type lives []life

func (all lives) sample(of func(life) time.Duration) sample {
	var s sample
	for _, l := range all {
		s = append(s, of(l))
	}
	return s
}

// many measures many pods from nothing. The bare client gets the parallelism
// that suits it best.
func many(t *testing.T, report *table, ours *podstead, bare *bare) {
	t.Helper()
	if *flagFills == 0 {
		return
	}
	best, parallel := time.Duration(0), 0
	for i, p := range []int{2, 4, 8, 16} {
		took := bare.fill(series("try", i, *flagPods), p)
		t.Logf("bare client, %d at a time: %v", p, took)
		if parallel == 0 || took < best {
			best, parallel = took, p
		}
	}
	var fills, bareFills sample
	alternate(*flagFills,
		func(i int) { fills = append(fills, ours.fill(series("many", i, *flagPods))) },
		func(i int) { bareFills = append(bareFills, bare.fill(series("barely", i, *flagPods), parallel)) })
	t.Logf("many: podstead %v, bare %v", fills, bareFills)
	report.ratio(fmt.Sprintf("%d pods with networks and a 10 s HTTP probe each, from nothing → all running (bare client: %d at a time)", *flagPods, parallel), fills, bareFills, maxMany)
}

// idle measures what podstead takes while nothing happens but probes and
// scrapes.
func idle(report *table, ours *podstead) {
	t, h := ours.t, ours.h
	t.Helper()
	ours.place(series("idle", 0, *flagPods), shape{period: 10})
	ours.wait(*flagPods)
	h.Eventually(patience, func() error { return ours.well(*flagPods) })
	defer scraping(t)()
	time.Sleep(settle)
	before, at := take(t, h), record.Now()
	time.Sleep(*flagIdle)
	after, passed := take(t, h), record.Now().Sub(at)
	what := func(text string) string { return fmt.Sprintf("%d idle pods, scraped every 15 s: %s", *flagPods, text) }
	report.bound(what("resident memory of podstead"), mib(after.podstead.resident), "MiB", maxMiB)
	report.bound(what("CPU of podstead"), percent(after.podstead.cpu-before.podstead.cpu, passed), "% of a core", maxPercent)
	report.bound(what("bytes written to disk by podstead"), float64(after.podstead.written-before.podstead.written), "bytes", maxWritten)
	changed := before.files.changed(after.files)
	for _, path := range changed {
		t.Log("changed: ", path)
	}
	report.bound(what("files changed by podstead, containerd and loggers"), float64(len(changed)), "files", maxWritten)
	report.fact(what("CPU of containerd"), percent(after.containerd.cpu-before.containerd.cpu, passed), "% of a core")
	report.fact(what("bytes written to disk by containerd"), float64(after.containerd.written-before.containerd.written), "bytes")
	report.fact(what("resident memory of containerd"), mib(after.containerd.resident), "MiB")
	report.fact(what("one shim, proportional"), mib(after.shims.proportional)/float64(max(1, after.shims.count)), "MiB")
	report.fact(what("one logger, proportional"), mib(after.loggers.proportional)/float64(max(1, after.loggers.count)), "MiB")
}

// restart measures how long a new podstead takes to know all the pods again.
func restart(report *table, ours *podstead) {
	t, h := ours.t, ours.h
	t.Helper()
	var all sample
	for range 3 {
		h.Stop()
		from := record.Now()
		h.StartWithoutWaiting()
		h.Eventually(patience, func() error { return ours.count(*flagPods) })
		all = append(all, record.Now().Sub(from))
	}
	report.fact(fmt.Sprintf("restart of podstead → %d pods listed as running", *flagPods), all.median().Seconds()*1000, "ms")
	ours.remove(series("idle", 0, *flagPods))
}

// sizes tells how large the programs are.
func sizes(t *testing.T, report *table, h *harness.Host) {
	t.Helper()
	for _, name := range []string{"podstead", "podstead-logger", "podstead-pause", "podstead-names", "containerd", "containerd-shim-runc-v2"} {
		info, err := os.Stat(filepath.Join(h.Bin, name))
		if err != nil {
			t.Fatal(err)
		}
		report.fact("size of "+name, mib(info.Size()), "MiB")
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func percent(part, whole time.Duration) float64 { return 100 * float64(part) / float64(whole) }
