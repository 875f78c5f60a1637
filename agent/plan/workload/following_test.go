package workload_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The histories below were found by TestLaws: a decision that was made again
// on its own outcome did more. The world judges each decision by that
// (judgeagain_test.go).

// TestGoodWhileAFailedOneWaits: when the target turns out good, a failed
// revision that the manifest wants waits no longer.
func TestGoodWhileAFailedOneWaits(t *testing.T) {
	f := web("app:0", 1)
	f.imagePullPolicy = corev1.PullAlways
	w := newWorld(f)
	w.behaviours["app:0"] = behaviour{ready: time.Second, sick: 10 * time.Second}
	w.behaviours["app:1"] = behaviour{ready: 20 * time.Second}
	w.advance(time.Minute)
	next := f
	next.image = "app:1"
	w.set(next)
	w.advance(10 * time.Second)
	w.hangs = true
	w.set(f)
	w.advance(10 * time.Second)
	if w.record.Held.Revision == "" {
		t.Fatal("nothing waits")
	}
	w.advance(10 * time.Minute)
	w.check(t, "at the end", "app:1=1/1")
	if w.record.Held.Revision != "" || failedRevision(w) == nil {
		t.Errorf("the record is %+v", w.record)
	}
	if err := w.err(); err != nil {
		t.Error(err)
	}
}

// TestEndedPodOpensAGate: when the last pod of a failed revision ends for the
// number, the rollback begins in the same decision.
func TestEndedPodOpensAGate(t *testing.T) {
	f := web("app:0", 1)
	f.surge, f.missing = "1", "0"
	w := good(t, f)
	delete(w.local, "app:0")
	delete(w.local, "app:0@sha256:1")
	w.absent["app:0"], w.absent["app:2"] = true, true
	w.behaviours["app:1"] = behaviour{never: true, crash: 4 * time.Second}
	f.image = "app:1"
	w.set(f)
	w.advance(2 * time.Minute)
	w.check(t, "failed, and the good image is gone", "app:0=1/1 app:1=0/1")
	f.image, f.surge = "app:2", "0"
	w.set(f)
	if w.decide(); w.said("RolledBack: ") != 1 {
		t.Errorf("events %q", w.events)
	}
	w.advance(time.Minute)
	w.check(t, "gone back", "app:0=1/1")
}
