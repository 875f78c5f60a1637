package workload_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

func (w *world) do(t *testing.T, c pod.RolloutCommand) {
	t.Helper()
	if _, err := w.command(c); err != nil {
		t.Fatal(err)
	}
	w.advance(2 * time.Minute)
}

func (w *world) drift(t *testing.T, want ...string) {
	t.Helper()
	got := w.last.Status.Drift
	if len(got) != len(want) || slices.ContainsFunc(want, func(s string) bool { return !strings.Contains(strings.Join(got, "\n"), s) }) {
		t.Errorf("drift is %q, want %q", got, want)
	}
}

// TestScale: scaling is drift until it is reset or the manifest changes, over
// restarts too.
func TestScale(t *testing.T) {
	f := web("app:0", 2)
	w := good(t, f)
	w.do(t, pod.RolloutCommand{Verb: pod.Scale, Replicas: 4})
	w.check(t, "scaled", "app:0=4/4")
	w.drift(t, "replicas is 4, the manifest says 2")
	w.restart()
	w.advance(time.Minute)
	w.check(t, "after a restart", "app:0=4/4")
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutReset})
	w.check(t, "reset", "app:0=2/2")
	w.drift(t)
	w.do(t, pod.RolloutCommand{Verb: pod.Scale, Replicas: 0})
	w.check(t, "scaled to 0", "")
	f.env = "1"
	w.set(f)
	w.advance(2 * time.Minute)
	w.check(t, "the manifest changed", "app:0=2/2")
	w.drift(t)
	if w.said("DriftTakenBack") != 1 {
		t.Errorf("events %q", w.events)
	}
}

func TestUndo(t *testing.T) {
	f := web("app:0", 2)
	w := good(t, f)
	f.image = "app:1"
	w.set(f)
	w.advance(2 * time.Minute)
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutUndo})
	w.check(t, "undone", "app:0=2/2")
	w.drift(t, "is wanted instead of the manifest's")
	if w.last.Status.Revision != 3 {
		t.Errorf("revision %d, want 3: as in Kubernetes it gets a new number", w.last.Status.Revision)
	}
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutUndo, Revision: 2})
	w.check(t, "undone again", "app:1=2/2")
	w.drift(t)
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutUndo})
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutReset})
	w.check(t, "reset", "app:1=2/2")
}

func TestRestart(t *testing.T) {
	w := good(t, web("app:0", 2))
	before := []string{w.pods[0].desired.Key.Name, w.pods[1].desired.Key.Name}
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutRestart})
	w.check(t, "restarted", "app:0=2/2")
	for _, p := range w.pods {
		if slices.Contains(before, p.desired.Key.Name) {
			t.Errorf("%s is still there", p.desired.Key)
		}
	}
	trace := len(w.trace)
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutReset})
	if len(w.trace) != trace {
		t.Errorf("taking a restart back did %v", w.trace[trace:])
	}
}

func TestPauseAndResume(t *testing.T) {
	f := web("app:0", 2)
	w := good(t, f)
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutPause})
	w.drift(t, "rollouts are paused")
	for _, verb := range []pod.RolloutVerb{pod.RolloutPause, pod.RolloutUndo, pod.RolloutRestart} {
		if _, err := w.command(pod.RolloutCommand{Verb: verb}); err == nil || !strings.Contains(err.Error(), "paused") {
			t.Errorf("%s while it is paused: %v", verb, err)
		}
	}
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutResume})
	w.drift(t)
}

// TestRefusedCommands: the message names the command, the workload, what was
// found and what there is; nothing changes.
func TestRefusedCommands(t *testing.T) {
	f := web("app:0", 1)
	w := good(t, f)
	w.behaviours["app:1"] = behaviour{never: true}
	f.image = "app:1"
	w.set(f)
	w.advance(5 * time.Minute)
	daemon := f
	daemon.kind, daemon.image = pod.KindDaemonSet, "app:0"
	set := daemon
	set.kind = pod.KindReplicaSet
	for _, c := range []struct {
		w       *world
		command pod.RolloutCommand
		want    string
	}{
		{w, pod.RolloutCommand{Verb: pod.RolloutUndo, Revision: 2}, "undo: Deployment default/web revision 2 failed"},
		{w, pod.RolloutCommand{Verb: pod.RolloutUndo, Revision: 9}, "has no revision 9: there are 3, 2"},
		{w, pod.RolloutCommand{Verb: pod.RolloutUndo}, "has no earlier revision that did not fail"},
		{w, pod.RolloutCommand{Verb: pod.Scale, Replicas: -1}, "can't have -1 pods"},
		{w, pod.RolloutCommand{Verb: pod.Scale, Replicas: 2147483647}, "can't have 2147483647 pods, want 0 to 1000"},
		{w, pod.RolloutCommand{Verb: pod.RolloutResume}, "is not paused"},
		{w, pod.RolloutCommand{Verb: "dance"}, "does not know that command"},
		{good(t, daemon), pod.RolloutCommand{Verb: pod.Scale, Replicas: 2}, "one pod here"},
		{newWorld(set), pod.RolloutCommand{Verb: pod.RolloutUndo}, "does not run it"},
	} {
		before := c.w.record
		if _, err := c.w.command(c.command); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.command, err, c.want)
		}
		if c.w.record != before {
			t.Errorf("%v changed something", c.command)
		}
	}
}

// TestPlacement: what decides whether this server runs a workload.
func TestPlacement(t *testing.T) {
	taint := func(effect corev1.TaintEffect) []corev1.Taint {
		return []corev1.Taint{{Key: "gpu", Value: "yes", Effect: effect}}
	}
	tolerates := []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpEqual, Value: "yes"}}
	affinity := func(value string) *corev1.Affinity {
		return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: "In", Values: []string{value}}}}},
		}}}
	}
	for name, c := range map[string]struct {
		change      func(*form)
		taints      []corev1.Taint
		runs, stays bool
	}{
		"anywhere":                 {func(*form) {}, nil, true, true},
		"nodeSelector here":        {func(f *form) { f.disk = "ssd" }, nil, true, true},
		"nodeSelector elsewhere":   {func(f *form) { f.disk = "hdd" }, nil, false, false},
		"affinity here":            {func(f *form) { f.affinity = affinity("ssd") }, nil, true, true},
		"affinity elsewhere":       {func(f *form) { f.affinity = affinity("hdd") }, nil, false, false},
		"NoSchedule":               {func(*form) {}, taint(corev1.TaintEffectNoSchedule), false, true},
		"NoExecute":                {func(*form) {}, taint(corev1.TaintEffectNoExecute), false, false},
		"tolerated":                {func(f *form) { f.tolerations = tolerates }, taint(corev1.TaintEffectNoExecute), true, true},
		"PreferNoSchedule":         {func(*form) {}, taint(corev1.TaintEffectPreferNoSchedule), true, true},
		"DaemonSet, disk pressure": {func(*form) {}, []corev1.Taint{{Key: corev1.TaintNodeDiskPressure, Effect: corev1.TaintEffectNoSchedule}}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := web("app:0", 1)
			f.kind = pod.KindDaemonSet
			running := good(t, f)
			c.change(&f)
			fresh := newWorld(f)
			running.settings.Node.Spec.Taints, fresh.settings.Node.Spec.Taints = c.taints, c.taints
			running.set(f)
			fresh.advance(time.Minute)
			running.advance(5 * time.Minute)
			if got := len(fresh.pods) == 1; got != c.runs {
				t.Errorf("a pod is made: %v", got)
			}
			if got := len(running.pods) == 1; got != c.stays {
				t.Errorf("the pod stays: %v", got)
			}
			if why := fresh.last.Status.Elsewhere; (why == "") != c.stays {
				t.Errorf("elsewhere: %q", why)
			}
		})
	}
}

// TestPauseHoldsChanges: it is made for that. Everything else that differs from
// the manifest goes with its next change, and so does the pause when the
// manifest itself says something new of it.
func TestPauseHoldsChanges(t *testing.T) {
	f := web("app:0", 2)
	w := good(t, f)
	w.do(t, pod.RolloutCommand{Verb: pod.Scale, Replicas: 3})
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutPause})
	f.image = "app:1"
	w.set(f)
	w.advance(5 * time.Minute)
	w.check(t, "paused and changed", "app:0=2/2")
	w.drift(t, "paused")
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutResume})
	w.advance(5 * time.Minute)
	w.check(t, "resumed", "app:1=2/2")
	w.do(t, pod.RolloutCommand{Verb: pod.RolloutPause})
	f.image, f.paused = "app:2", true
	w.set(f)
	w.advance(time.Minute)
	f.paused = false
	w.set(f)
	w.advance(5 * time.Minute)
	w.check(t, "the manifest itself paused and goes on", "app:2=2/2")
	w.drift(t)
}

// TestRecordOfTooManyPods: a number that no command lets through any more must
// not be believed of a record either.
func TestRecordOfTooManyPods(t *testing.T) {
	w := good(t, web("app:0", 1))
	n := int32(2147483647)
	w.record.Drift.Replicas = &n
	d := workload.Decide(w.settings, w.want(), w.have(), w.stamp())
	if d.Status.Replicas != pod.MaxReplicas || len(d.Pods) > pod.MaxReplicas+1 {
		t.Errorf("%d replicas and %d pods are wanted, want at most %d", d.Status.Replicas, len(d.Pods), pod.MaxReplicas)
	}
}

// TestNamesOfPodsAreNames, wherever a long name of a workload is cut.
func TestNamesOfPodsAreNames(t *testing.T) {
	for length := 40; length <= 253; length++ {
		for _, kind := range []pod.Kind{pod.KindDeployment, pod.KindReplicaSet, pod.KindDaemonSet} {
			for _, sign := range []string{"-", ".", "a"} {
				key := pod.ObjectKey{Kind: kind, Key: pod.Key{Namespace: "default", Name: strings.Repeat("a", length-1) + sign + strings.Repeat("b", 253-length)}}
				name := workload.PodName(key, "abcdefghij", 7)
				if bad := validation.IsDNS1123Subdomain(name); len(bad) > 0 {
					t.Fatalf("%s makes a pod %q: %v", key, name, bad)
				}
			}
		}
	}
}
