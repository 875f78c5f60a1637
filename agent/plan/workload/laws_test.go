package workload_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// TestLaws plays random histories of one workload: its manifest changes, its
// pods become ready late or never, crash and turn unhealthy, images are
// missing, people scale, pause, undo and restart, podstead restarts with its
// record and the pods alone, or without the record, and the host reboots.
// Every decision is judged (judge_test.go); at the end, when nothing disturbs
// any more, the workload has to be as wanted or back at its last good
// revision, and nothing may move.
func TestLaws(t *testing.T) {
	for _, half := range []string{"one half", "other half"} {
		t.Run(half, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				if err := play(t, nil); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// images are those that manifests name, version by version.
var images = []string{"app:0", "app:1", "app:2", "app:3"}

// play drives one random history and returns the law that it broke.
func play(t *rapid.T, fault func(*workload.Have, *workload.Decision)) error {
	w := newWorld(randomForm(t, rapid.SampledFrom([]pod.Kind{pod.KindDeployment, pod.KindDeployment, pod.KindDaemonSet}).Draw(t, "kind")))
	w.fault = fault
	for _, image := range images {
		w.behaviours[image] = rapid.SampledFrom([]behaviour{
			{ready: 2 * time.Second}, {ready: 2 * time.Second}, {ready: 20 * time.Second}, {never: true},
			{never: true, crash: 4 * time.Second}, {ready: time.Second, crash: 9 * time.Second}, {ready: 3 * time.Second, sick: 15 * time.Second},
		}).Draw(t, "behaviour")
		w.absent[image] = rapid.IntRange(0, 5).Draw(t, "absent") == 0
	}
	w.capacity = rapid.SampledFrom([]int{0, 0, 0, 3, 5}).Draw(t, "capacity")
	w.grace = time.Duration(rapid.SampledFrom([]int{1, 30}).Draw(t, "grace")) * time.Second
	for range rapid.IntRange(2, 10).Draw(t, "steps") {
		disturb(t, w)
		w.advance(time.Duration(rapid.SampledFrom([]int{0, 5, 40, 100, 200}).Draw(t, "seconds")) * time.Second)
		if err := w.err(); err != nil {
			return err
		}
	}
	w.converge()
	return w.err()
}

func randomForm(t *rapid.T, kind pod.Kind) form {
	one := func(name string, in int) bool { return rapid.IntRange(1, in).Draw(t, name) == in }
	f := form{kind: kind, deadline: 60, watch: rapid.SampledFrom([]int{0, 30}).Draw(t, "watch")}
	f.image = rapid.SampledFrom(images).Draw(t, "image")
	f.replicas = int32(rapid.IntRange(0, 5).Draw(t, "replicas"))
	f.surge = rapid.SampledFrom([]string{"", "0", "1", "50%", "100%", "10"}).Draw(t, "surge")
	f.missing = rapid.SampledFrom([]string{"", "0", "1", "50%", "100%", "10"}).Draw(t, "missing")
	f.minReady = int32(rapid.SampledFrom([]int{0, 0, 10}).Draw(t, "minReady"))
	f.paused, f.recreate, f.onDelete, f.keep = one("paused", 12), one("recreate", 8), one("onDelete", 8), one("keep", 8)
	if kind == pod.KindDaemonSet {
		f.paused, f.recreate = false, false
	} else {
		f.onDelete = false
	}
	if one("history", 6) {
		f.history = 1
	}
	f.imagePullPolicy = rapid.SampledFrom([]corev1.PullPolicy{"", "", corev1.PullAlways}).Draw(t, "pull")
	switch rapid.IntRange(0, 9).Draw(t, "special") {
	case 0:
		f.hostPort, f.replicas = 8080, min(f.replicas, 1)
	case 1:
		f.folder = "/srv/data"
	case 2:
		f.order = pod.StopFirst
	case 3:
		f.order, f.folder = pod.StartFirst, "/srv/data"
	case 4:
		f.disk = "ssd"
	case 5:
		f.env = "1"
	}
	return f
}

// disturb does one of the things that happen to a workload.
func disturb(t *rapid.T, w *world) {
	switch event := rapid.SampledFrom([]string{
		"manifest", "manifest", "manifest", "image", "image", "image", "image", "tag", "crash", "vanish", "registry", "registry",
		"command", "command", "command", "hang", "restart", "record", "reboot", "runtime", "keep", "gone", "elsewhere", "nothing",
	}).Draw(t, "event"); event {
	case "manifest":
		w.set(randomForm(t, w.form.kind))
	case "image":
		f := w.form
		f.image = rapid.SampledFrom(images).Draw(t, "image")
		w.set(f)
	case "tag":
		w.means[rapid.SampledFrom(images).Draw(t, "tag")] = fmt.Sprintf("sha256:%d", rapid.IntRange(1, 3).Draw(t, "digest"))
	case "crash", "vanish":
		if len(w.pods) == 0 {
			return
		}
		p := w.pods[rapid.IntRange(0, len(w.pods)-1).Draw(t, "pod")]
		if event == "vanish" {
			w.pods = slices.DeleteFunc(w.pods, func(o *simPod) bool { return o == p })
		} else if !p.stopping && p.admitted {
			w.crash(p)
		}
	case "registry":
		image := rapid.SampledFrom(images).Draw(t, "image")
		w.absent[image] = !w.absent[image]
	case "hang":
		w.hangs = !w.hangs
	case "command":
		randomCommand(t, w)
	case "restart":
		w.restart()
	case "record":
		w.restart()
		w.record, w.failed = nil, map[string]bool{}
	case "reboot":
		w.reboot()
	case "runtime":
		w.runtimeDown = !w.runtimeDown
	case "keep":
		w.keep = !w.keep
	case "gone":
		w.gone = true
	case "elsewhere":
		labels := map[string]string{"disk": rapid.SampledFrom([]string{"ssd", "hdd"}).Draw(t, "disk")}
		w.settings.Node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "server", Labels: labels}}
	}
}

func randomCommand(t *rapid.T, w *world) {
	c := pod.RolloutCommand{Verb: rapid.SampledFrom([]pod.RolloutVerb{
		pod.Scale, pod.Scale, pod.RolloutUndo, pod.RolloutPause, pod.RolloutResume, pod.RolloutRestart, pod.RolloutReset,
	}).Draw(t, "verb")}
	c.Replicas = int32(rapid.IntRange(0, 4).Draw(t, "scale"))
	if w.form.hostPort != 0 || w.ruling.hostPort != 0 {
		c.Replicas = min(c.Replicas, 1)
	}
	c.Revision = int64(rapid.IntRange(0, 3).Draw(t, "revision"))
	before := w.record
	if _, err := w.command(c); err != nil && w.record != before {
		w.violate("%s was refused and changed something: %v", c.Verb, err)
	}
}

// converge lets time pass undisturbed and looks how it ends.
func (w *world) converge() {
	w.runtimeDown, w.keep, w.hangs, w.absent = false, false, false, map[string]bool{}
	w.decide()
	if w.record != nil && w.paused(w.record) {
		if _, err := w.command(pod.RolloutCommand{Verb: pod.RolloutResume}); err != nil {
			w.violate("it can't be resumed: %v", err)
		}
	}
	w.advance(40 * time.Minute)
	w.judgeEnd()
	moves, record := len(w.trace), w.record
	w.advance(2 * time.Hour)
	if len(w.trace) > moves || w.record != record {
		w.violate("at rest, and yet it moves: %v", w.trace[moves:])
	}
}

// judgeEnd: all pods are of the wanted revision, or of the last good one if
// that failed, and ready if they can be.
func (w *world) judgeEnd() {
	rec := w.record
	if w.gone || w.wanted(rec) == 0 {
		if len(w.pods) > 0 || w.gone && rec != nil {
			w.violate("nothing of it is wanted, there are %d pods", len(w.pods))
		}
		return
	}
	if rec == nil || rec.Revision(rec.Target) == nil {
		w.violate("it is wanted, and nothing was made")
		return
	}
	target, good := rec.Revision(rec.Target), lastGood(rec)
	want := w.wantedTemplate()
	got := templateKey(target.Template.Spec, target.Template.Annotations)
	if rec.Drift.RestartedAt == "" && rec.Drift.Undo == "" {
		got = templateKey(target.Template.Spec, nil)
	}
	// A copy that a restart made of what is wanted speaks for it.
	copied := slices.ContainsFunc(rec.Revisions, func(rev workload.Revision) bool {
		return rev.Failure != nil && templateKey(rev.Template.Spec, nil) == want
	})
	switch failed := w.failed[want] || copied; {
	case got == want:
		if target.Failure != nil && good != nil && !w.ruling.keep {
			w.violate("%s failed and was not taken back", want)
		}
	case !failed || target != good || w.ruling.keep:
		w.violate("%s is wanted, %s is there, good is %v", want, got, good)
	}
	w.judgePods(target)
}

// wantedTemplate is the key of what the manifest and people want.
func (w *world) wantedTemplate() string {
	t := w.ruling.template()
	if rev := w.record.Revision(w.record.Drift.Undo); rev != nil {
		t = *rev.Template
	}
	annotations := t.Annotations
	if at := w.record.Drift.RestartedAt; at != "" {
		annotations = map[string]string{workload.RestartedAtAnnotation: at}
	}
	return templateKey(t.Spec, annotations)
}

func (w *world) judgePods(target *workload.Revision) {
	n := w.wanted(w.record)
	if !w.behaviours[target.Template.Spec.Containers[0].Image].healthy() || w.ruling.onDelete {
		return
	}
	ready, there := 0, ""
	for _, p := range w.pods {
		there += fmt.Sprintf(" %s %v %s", p.desired.Key.Name, p.ready.IsZero(), p.blocked)
		if p.revision == target.Hash && !p.stopping && !p.ready.IsZero() {
			ready++
		}
	}
	if n > 1 && templatePort(target.Template) != 0 {
		return // only one of them can ever start
	}
	if fit := w.capacity == 0 || n <= w.capacity; len(w.pods) != n || fit && ready != n {
		w.violate("%d ready pods of %s are wanted, there are %s", n, target.Hash, there)
	}
}

func templatePort(t *corev1.PodTemplateSpec) int32 {
	return (&simPod{desired: &pod.Desired{Pod: &corev1.Pod{Spec: t.Spec}}}).port()
}
