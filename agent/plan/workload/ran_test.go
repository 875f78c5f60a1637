package workload_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// running lists the digests of what runs, each once.
func (w *world) running() []string {
	var digests []string
	for _, p := range w.pods {
		if !p.stopping && !slices.Contains(digests, p.digest) {
			digests = append(digests, p.digest)
		}
	}
	return digests
}

// TestReturnToTheSameImage: a tag moved after a revision had proved good. What
// comes back is what ran, also where the record is lost then, and one more
// change of the manifest makes the tag count again.
func TestReturnToTheSameImage(t *testing.T) {
	for name, back := range map[string]func(*testing.T, *world){
		"rollback": func(_ *testing.T, w *world) { w.advance(5 * time.Minute) },
		"undo":     func(t *testing.T, w *world) { w.do(t, pod.RolloutCommand{Verb: pod.RolloutUndo}) },
	} {
		for _, policy := range []corev1.PullPolicy{corev1.PullAlways, corev1.PullIfNotPresent} {
			t.Run(name+string(policy), func(t *testing.T) {
				f := web("app:0", 2)
				f.recreate, f.imagePullPolicy = true, policy
				w := good(t, f)
				w.behaviours["app:1"] = behaviour{never: name == "rollback", ready: time.Second}
				f.image = "app:1"
				w.set(f)
				w.advance(30 * time.Second)
				w.means["app:0"] = "sha256:2"
				w.here["app:0"] = "sha256:2" // somebody pulled it
				back(t, w)
				w.check(t, "gone back", "app:0=2/2")
				if got := w.running(); !slices.Equal(got, []string{"sha256:1"}) {
					t.Errorf("%v runs, want what ran before", got)
				}
				w.restart()
				w.record = nil
				w.advance(time.Hour)
				if got := w.running(); !slices.Equal(got, []string{"sha256:1"}) {
					t.Errorf("without its record %v runs, want what ran before", got)
				}
				for i := range w.record.Revisions {
					if image := w.record.Revisions[i].Template.Spec.Containers[0].Image; image != "app:0" && image != "app:1" {
						t.Errorf("the template has become %s", image)
					}
				}
				f.image, f.env = "app:0", "2"
				w.set(f)
				w.advance(time.Minute)
				if got := w.running(); !slices.Equal(got, []string{"sha256:2"}) {
					t.Errorf("%v runs, want what the tag means when the manifest asks for it", got)
				}
			})
		}
	}
}

// TestReturnToAnImageThatIsGone: it is waited for, and nothing else is run.
func TestReturnToAnImageThatIsGone(t *testing.T) {
	f := web("app:0", 2)
	f.recreate = true
	w := good(t, f)
	w.behaviours["app:1"] = behaviour{never: true}
	f.image = "app:1"
	w.set(f)
	w.advance(time.Minute)
	clear(w.local)
	w.absent["app:0"], w.here["app:0"], w.local["app:0"] = true, "sha256:2", true
	w.advance(30 * time.Minute)
	w.check(t, "while it can't be had", "app:1=0/2")
	if w.said("image app:0@sha256:1 can't be had: not found; what runs stays") == 0 {
		t.Errorf("plan %q", w.last.Plan)
	}
	w.absent["app:0"] = false
	w.advance(time.Minute)
	w.check(t, "when it can be had", "app:0=2/2")
	if got := w.running(); !slices.Equal(got, []string{"sha256:1"}) {
		t.Errorf("%v runs, want what ran before", got)
	}
}

// TestRanFollowsWhatRuns: a revision whose tag was resolved anew comes back with
// what it ran well last.
func TestRanFollowsWhatRuns(t *testing.T) {
	f := web("app:0", 2)
	f.imagePullPolicy, f.watch = corev1.PullAlways, 60
	w := good(t, f)
	ran := func() string { return w.record.Revision(w.record.Target).Ran["app"] }
	if ran() != "sha256:1" {
		t.Fatalf("it is known to have run %q", ran())
	}
	w.means["app:0"] = "sha256:2"
	w.pods = w.pods[1:]
	w.advance(time.Hour)
	if ran() != "sha256:1" {
		t.Errorf("one pod of two runs another image, and %s is what ran", ran())
	}
	w.pods = nil
	w.advance(30 * time.Second)
	if ran() != "sha256:1" {
		t.Errorf("%s ran, though it is not known yet whether it does well", ran())
	}
	w.advance(time.Minute)
	if ran() != "sha256:2" {
		t.Errorf("%s ran, want what every pod runs", ran())
	}
}

// TestImagesThatStay: those of revisions that can be gone back to stay as they
// ran, and a failed one's do not.
func TestImagesThatStay(t *testing.T) {
	revision := func(hash, image, digest string, good bool) workload.Revision {
		rev := workload.Revision{Hash: hash, Good: good, Template: &corev1.PodTemplateSpec{}}
		rev.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: image}}
		if digest != "" {
			rev.Ran = map[string]string{"app": digest}
		}
		return rev
	}
	rec := &workload.Record{Target: "c", Revisions: []workload.Revision{
		revision("a", "app:0", "sha256:0", true), revision("b", "app:1@sha256:1", "sha256:1", true),
		revision("x", "app:9", "", false), revision("c", "app:2", "", false),
	}}
	rec.Revisions[2].Failure = &workload.Failure{}
	if got, want := rec.Images(), []string{"app:2", "app:1@sha256:1"}; !slices.Equal(got, want) {
		t.Errorf("%v stay, want %v", got, want)
	}
	rec.Drift.Undo = "a"
	if got, want := rec.Images(), []string{"app:2", "app:0@sha256:0", "app:1@sha256:1"}; !slices.Equal(got, want) {
		t.Errorf("%v stay, want %v", got, want)
	}
}
