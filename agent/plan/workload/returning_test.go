package workload_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// TestReturnWithoutRegistry: a rollback and an undo go on while the registry
// never answers, with imagePullPolicy Always, even where every pod has to be
// made anew; and when the record is lost then, nothing is restarted.
func TestReturnWithoutRegistry(t *testing.T) {
	for name, back := range map[string]func(*testing.T, *world){
		"rollback": func(t *testing.T, w *world) {
			if w.advance(5 * time.Minute); w.said("RolledBack: ") != 1 {
				t.Errorf("events %q", w.events)
			}
		},
		"undo": func(t *testing.T, w *world) { w.do(t, pod.RolloutCommand{Verb: pod.RolloutUndo}) },
	} {
		t.Run(name, func(t *testing.T) {
			f := web("app:0", 2)
			f.recreate, f.imagePullPolicy = true, corev1.PullAlways
			w := good(t, f)
			w.behaviours["app:1"] = behaviour{never: name == "rollback", ready: time.Second}
			f.image = "app:1"
			w.set(f)
			w.advance(30 * time.Second)
			w.restart() // what was fetched is forgotten
			w.hangs = true
			back(t, w)
			w.check(t, "gone back", "app:0=2/2")

			f.image = "app:0"
			w.set(f)
			w.advance(time.Minute)
			trace := len(w.trace)
			w.restart()
			w.record = nil
			w.advance(time.Hour)
			if len(w.trace) != trace {
				t.Errorf("without its record it did %v", w.trace[trace:])
			}
		})
	}
}

// TestPullAlways: what the manifest wants asks the registry, though it be here.
func TestPullAlways(t *testing.T) {
	f := web("app:0", 1)
	f.imagePullPolicy = corev1.PullAlways
	w := good(t, f)
	w.local["app:1"], w.hangs = true, true
	f.image = "app:1"
	w.set(f)
	w.advance(time.Hour)
	w.check(t, "while the registry hangs", "app:0=1/1")
	w.hangs = false
	w.advance(time.Minute)
	w.check(t, "when it answers", "app:1=1/1")
}

// TestOnDelete: a change of the manifest replaces no pod, the commands restart
// and undo do, and so does a rollback of what restart did.
func TestOnDelete(t *testing.T) {
	begin := func(t *testing.T, b behaviour) *world {
		f := web("app:0", 1)
		f.kind, f.onDelete = pod.KindDaemonSet, true
		w := good(t, f)
		w.settings.ProgressDeadline = time.Minute
		w.behaviours["app:1"] = b
		f.image = "app:1"
		w.set(f)
		w.advance(time.Hour)
		w.check(t, "the manifest changed", "app:0=1/1")
		if w.said("until podstead rollout restart replaces it") != 1 {
			t.Errorf("plan %q", w.last.Plan)
		}
		return w
	}
	healthy := behaviour{ready: time.Second}
	t.Run("restart", func(t *testing.T) {
		w := begin(t, healthy)
		w.do(t, pod.RolloutCommand{Verb: pod.RolloutRestart})
		w.check(t, "restarted", "app:1=1/1")
		for _, e := range w.events {
			if strings.HasPrefix(e, "SuccessfulDelete") && !strings.Contains(e, "revision 3 (") {
				t.Errorf("the pod made way for what nobody asked for: %s", e)
			}
		}
		w.do(t, pod.RolloutCommand{Verb: pod.RolloutUndo, Revision: 1})
		w.check(t, "undone", "app:0=1/1")
	})
	t.Run("rollback", func(t *testing.T) {
		w := begin(t, behaviour{never: true})
		w.do(t, pod.RolloutCommand{Verb: pod.RolloutRestart})
		w.check(t, "restarted and taken back", "app:0=1/1")
	})
	t.Run("gone by itself", func(t *testing.T) {
		w := begin(t, healthy)
		w.pods = nil
		w.advance(time.Minute)
		w.check(t, "it was gone", "app:1=1/1")
	})
}
