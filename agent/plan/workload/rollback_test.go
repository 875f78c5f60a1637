package workload_test

import (
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/agent/plan/workload"
)

// TestAutomaticRollback: a revision that fails is replaced by the last good
// one, is not tried again while its manifest stays, and what was seen is kept.
func TestAutomaticRollback(t *testing.T) {
	for name, c := range map[string]struct {
		bad    behaviour
		reason workload.FailureReason
		before time.Duration // until then it has not failed
		within time.Duration // by then it has
	}{
		"crash loop":          {behaviour{never: true, crash: 4 * time.Second}, workload.FailedCrashing, 25 * time.Second, 50 * time.Second},
		"progress deadline":   {behaviour{never: true}, workload.FailedInTime, 62 * time.Second, 70 * time.Second},
		"within watch window": {behaviour{ready: time.Second, sick: 20 * time.Second}, workload.FailedUnhealthy, 20 * time.Second, 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			f := web("app:0", 2)
			w := good(t, f)
			w.behaviours["app:1"] = c.bad
			f.image = "app:1"
			w.set(f)
			w.advance(c.before)
			if w.said("RolloutFailed") != 0 {
				t.Fatalf("it failed too early: %q", w.events)
			}
			w.advance(c.within - c.before)
			if w.said("RolloutFailed") != 1 || w.said("RolledBack: ") != 1 {
				t.Fatalf("events %q", w.events)
			}
			w.advance(time.Minute)
			w.check(t, "rolled back", "app:0=2/2")
			failed := failedRevision(w)
			if failed == nil || failed.Failure.Reason != c.reason || len(failed.Failure.Pods) == 0 {
				t.Fatalf("the failure is %+v", failed)
			}
			if c.bad.crash > 0 {
				kept := failed.Failure.Pods[0]
				if kept.Crashes != 3 || len(kept.Troubles) != 1 || kept.Troubles[0].LogTail[0] != "no database" || *kept.Troubles[0].ExitCode != 1 {
					t.Errorf("kept is %+v", kept)
				}
			}
			w.restart() // and it holds over a restart
			w.advance(time.Hour)
			f.replicas = 3
			w.set(f) // the template is the same
			w.advance(time.Hour)
			w.check(t, "an hour later", "app:0=3/3")
			if w.said("RolloutFailed") != 1 {
				t.Errorf("it was tried again: %q", w.events)
			}
			f.image = "app:2"
			w.set(f)
			w.advance(2 * time.Minute)
			w.check(t, "with a new manifest", "app:2=3/3")
		})
	}
}

func failedRevision(w *world) *workload.Revision {
	for i := range w.record.Revisions {
		if w.record.Revisions[i].Failure != nil {
			return &w.record.Revisions[i]
		}
	}
	return nil
}

// TestHealthyAfterTheWatchWindow: what turns unhealthy later stays.
func TestHealthyAfterTheWatchWindow(t *testing.T) {
	f := web("app:0", 1)
	w := good(t, f)
	w.behaviours["app:1"] = behaviour{ready: time.Second, sick: 31 * time.Second}
	f.image = "app:1"
	w.set(f)
	w.advance(10 * time.Minute)
	w.check(t, "after the window", "app:1=0/1")
	if w.said("RolloutFailed") != 0 || w.said("RolloutComplete") != 1 {
		t.Errorf("events %q", w.events)
	}
}

// TestBlockedPodsAreNoFailure: the deadline counts only while pods could
// become available.
func TestBlockedPodsAreNoFailure(t *testing.T) {
	f := web("app:0", 1)
	f.surge, f.missing = "1", "0"
	w := good(t, f)
	f.image = "app:1"
	w.set(f)
	w.advance(2 * time.Second)
	w.capacity = 2
	w.pods = append(w.pods, &simPod{desired: w.pods[0].desired, revision: w.pods[0].revision, stopping: true, admitted: true, at: w.now.Add(time.Hour), what: isGone})
	w.advance(30 * time.Minute)
	if w.said("RolloutFailed") != 0 {
		t.Errorf("events %q", w.events)
	}
	w.advance(time.Hour)
	w.check(t, "with room", "app:1=1/1")
}

// TestBlockedFromTheBeginning: pods that were made and can't start are no
// failure either.
func TestBlockedFromTheBeginning(t *testing.T) {
	w := newWorld(web("app:0", 2))
	w.absent["app:0"] = true
	w.advance(time.Hour)
	if len(w.pods) != 2 || w.pods[0].blocked == "" || w.said("RolloutFailed") != 0 {
		t.Errorf("there are %q, events %q", w.census(), w.events)
	}
	w.absent["app:0"] = false
	w.advance(2 * time.Minute)
	w.check(t, "with the image", "app:0=2/2")
}

// TestRollbackIsNotJudged: what ails the last good revision too lies
// elsewhere. It stays what is gone back to.
func TestRollbackIsNotJudged(t *testing.T) {
	f := web("app:0", 2)
	f.recreate = true
	w := good(t, f)
	w.behaviours["app:0"], w.behaviours["app:1"] = behaviour{never: true}, behaviour{never: true}
	f.image = "app:1"
	w.set(f)
	w.advance(time.Hour)
	w.check(t, "both are ill", "app:0=0/2")
	if target := w.record.Revision(w.record.Target); !target.Good || target.Failure != nil || w.said("RolloutFailed") != 1 {
		t.Errorf("the target is %+v, events %q", target, w.events)
	}
}

// TestOldCrashes: what a pod crashed before its revision became the target
// again does not count.
func TestOldCrashes(t *testing.T) {
	f := web("app:0", 1)
	w := good(t, f)
	for range 4 {
		w.crash(w.pods[0])
		w.advance(time.Minute)
	}
	w.behaviours["app:1"] = behaviour{ready: 30 * time.Second}
	next := f
	next.image = "app:1"
	w.set(next)
	w.advance(10 * time.Second)
	w.set(f)
	w.advance(5 * time.Minute)
	w.check(t, "back again", "app:0=1/1")
	if w.said("RolloutFailed") != 0 || w.said("RolloutStarted") != 2 {
		t.Errorf("events %q", w.events)
	}
}

// TestRollbackOff: with the annotation, what failed stays.
func TestRollbackOff(t *testing.T) {
	f := web("app:0", 1)
	f.keep = true
	w := good(t, f)
	w.behaviours["app:1"] = behaviour{never: true}
	f.image = "app:1"
	w.set(f)
	w.advance(time.Hour)
	w.check(t, "failed", "app:0=1/1 app:1=0/1")
	if w.said("automatic rollback is off") != 1 || w.said("RolledBack: ") != 0 {
		t.Errorf("events %q", w.events)
	}
	w.behaviours["app:1"] = behaviour{ready: time.Second}
	w.crash(w.pods[len(w.pods)-1])
	w.advance(5 * time.Minute)
	w.check(t, "mended from outside", "app:1=1/1")
	if failedRevision(w) != nil {
		t.Error("it still counts as failed")
	}
}

// TestFirstRolloutFails: without a good revision it is tried on, and becomes
// good when it comes up after all.
func TestFirstRolloutFails(t *testing.T) {
	w := newWorld(web("app:0", 2))
	w.behaviours["app:0"] = behaviour{never: true}
	w.advance(time.Hour)
	w.check(t, "failed", "app:0=0/2")
	if w.said("there is no good revision to go back to") != 1 {
		t.Errorf("events %q", w.events)
	}
	w.behaviours["app:0"] = behaviour{ready: time.Second}
	for _, p := range w.pods {
		w.crash(p)
	}
	w.advance(5 * time.Minute)
	if rev := w.record.Revision(w.record.Target); !rev.Good || rev.Failure != nil {
		t.Errorf("it is ready, and %+v", rev)
	}
	if err := w.err(); err != nil {
		t.Error(err)
	}
}

// TestBackToAFailedManifest: a manifest that comes back to a failed version
// does not try it again.
func TestBackToAFailedManifest(t *testing.T) {
	f := web("app:0", 1)
	w := good(t, f)
	w.behaviours["app:1"] = behaviour{never: true}
	for _, image := range []string{"app:1", "app:2", "app:1"} {
		f.image = image
		w.set(f)
		w.advance(5 * time.Minute)
	}
	w.check(t, "at the end", "app:2=1/1")
	if n := strings.Count(strings.Join(w.trace, " "), "+app:1/"); n != 1 {
		t.Errorf("a pod of it was started %d times", n)
	}
	if w.said("RolledBack: ") != 1 || w.said("until the manifest changes") != 1 {
		t.Errorf("events %q", w.events)
	}
}

// TestHistoryLimit: of old revisions so many are kept.
func TestHistoryLimit(t *testing.T) {
	f := web("app:0", 1)
	f.history = 2
	w := good(t, f)
	for _, env := range []string{"1", "2", "3", "4"} {
		f.env = env
		w.set(f)
		w.advance(5 * time.Minute)
	}
	var numbers []int64
	for _, rev := range w.record.Revisions {
		numbers = append(numbers, rev.Number)
	}
	if len(numbers) != 3 || numbers[0] != 3 || numbers[2] != 5 {
		t.Errorf("kept are %v, want 3 4 5", numbers)
	}
}

// TestLostRecord: without its record nothing that runs is restarted, and
// neither is it when the template has finalizers.
func TestLostRecord(t *testing.T) {
	for _, finalizers := range [][]string{nil, {"example.com/wait"}} {
		f := web("app:0", 3)
		f.finalizers = finalizers
		w := good(t, f)
		f.image = "app:1"
		w.set(f)
		w.advance(5 * time.Minute)
		trace := len(w.trace)
		w.restart()
		w.record = nil
		w.advance(time.Hour)
		if len(w.trace) != trace {
			t.Errorf("it did %v", w.trace[trace:])
		}
		if w.last.Status.Revision != 2 {
			t.Errorf("the revision is %d now", w.last.Status.Revision)
		}
	}
}
