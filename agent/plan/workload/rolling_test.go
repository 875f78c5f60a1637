package workload_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// census counts the live pods by image: "app:1=2/3" is 3, of which 2 are ready.
func (w *world) census() string {
	var parts []string
	for _, image := range images {
		all, ready := 0, 0
		for _, p := range w.pods {
			if p.stopping || p.image() != image {
				continue
			}
			all++
			if !p.ready.IsZero() {
				ready++
			}
		}
		if all > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d/%d", image, ready, all))
		}
	}
	return strings.Join(parts, " ")
}

// good is a world in which a form's revision is good.
func good(t *testing.T, f form) *world {
	t.Helper()
	w := newWorld(f)
	w.advance(5 * time.Minute)
	if rec := w.record; rec == nil || lastGood(rec) == nil || lastGood(rec).Hash != rec.Target {
		t.Fatalf("the first rollout did not become good: %s", w.census())
	}
	w.events = nil
	t.Cleanup(func() {
		if err := w.err(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) check(t *testing.T, when, want string) {
	t.Helper()
	if got := w.census(); got != want {
		t.Errorf("%s there are %q, want %q\nevents: %s", when, got, want, strings.Join(w.events, "\n"))
	}
}

func (w *world) said(what string) int {
	return strings.Count(strings.Join(append(w.events, w.last.Plan...), "\n"), what)
}

// TestBounds: the first step of a rolling update, with Kubernetes' rounding:
// surge up, unavailable down.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		replicas       int32
		surge, missing string
		want           string // 1 second after the image came
	}{
		{4, "", "", "app:0=3/3 app:1=0/2"},
		{10, "25%", "25%", "app:0=8/8 app:1=0/5"},
		{1, "", "", "app:0=1/1 app:1=0/1"},
		{3, "", "", "app:0=3/3 app:1=0/1"},
		{3, "0", "34%", "app:0=2/2 app:1=0/1"},
		{3, "0", "0", "app:0=2/2 app:1=0/1"},
		{3, "1%", "0", "app:0=3/3 app:1=0/1"},
		{3, "3", "0", "app:0=3/3 app:1=0/3"},
		{3, "0", "100%", "app:1=0/3"},
		{5, "2", "2", "app:0=3/3 app:1=0/4"},
	} {
		t.Run(fmt.Sprintf("%d %s %s", c.replicas, c.surge, c.missing), func(t *testing.T) {
			f := web("app:0", c.replicas)
			f.surge, f.missing = c.surge, c.missing
			w := good(t, f)
			w.behaviours["app:1"] = behaviour{ready: 30 * time.Second}
			f.image = "app:1"
			w.set(f)
			w.advance(3 * time.Second)
			w.check(t, "after the first step", c.want)
			w.advance(5 * time.Minute)
			w.check(t, "at the end", fmt.Sprintf("app:1=%d/%d", c.replicas, c.replicas))
		})
	}
}

func TestMinReadySeconds(t *testing.T) {
	f := web("app:0", 1)
	f.minReady = 20
	w := good(t, f)
	f.image = "app:1"
	w.set(f)
	w.advance(3*time.Second + 2*time.Second + 19*time.Second)
	w.check(t, "before it was ready for 20 s", "app:0=1/1 app:1=1/1")
	if st := w.last.Status.Deployment; st.ReadyReplicas != 2 || st.AvailableReplicas != 1 {
		t.Errorf("%d ready, %d available", st.ReadyReplicas, st.AvailableReplicas)
	}
	w.advance(time.Second)
	w.check(t, "after it was ready for 20 s", "app:1=1/1")
}

// TestPodsThatServeCount: a rollout is not over while old pods may answer.
func TestPodsThatServeCount(t *testing.T) {
	f := web("app:0", 3)
	w := good(t, f)
	f.replicas = 2
	w.set(f)
	for _, serving := range []bool{true, false} {
		h := w.have()
		for i := range h.Pods {
			h.Pods[i].Serving = serving
		}
		d := workload.Decide(w.settings, w.want(), h, w.stamp())
		want := map[bool]string{true: "3 pods, 0 terminating", false: "2 pods, 1 terminating"}[serving]
		if st := d.Status.Deployment; fmt.Sprintf("%d pods, %d terminating", st.Replicas, *st.TerminatingReplicas) != want {
			t.Errorf("%d pods, %d terminating, want %s", st.Replicas, *st.TerminatingReplicas, want)
		}
	}
}

func TestPaused(t *testing.T) {
	f := web("app:0", 3)
	w := good(t, f)
	f.image, f.paused, f.replicas = "app:1", true, 5
	w.set(f)
	w.advance(10 * time.Minute)
	w.check(t, "paused and scaled", "app:0=5/5")
	f.paused = false
	w.set(f)
	w.advance(time.Minute)
	w.check(t, "resumed", "app:1=5/5")
	if w.said("RolloutFailed") > 0 {
		t.Error("it failed while it was paused")
	}
}

// TestPausedFromTheBeginning: nothing is made before it is resumed.
func TestPausedFromTheBeginning(t *testing.T) {
	f := web("app:0", 3)
	f.paused = true
	w := newWorld(f)
	w.advance(time.Minute)
	w.check(t, "paused", "")
	f.paused = false
	w.set(f)
	w.advance(time.Minute)
	w.check(t, "resumed", "app:0=3/3")
}

// TestStopFirst: every old pod is gone before a new one starts, in each case
// in which they can't be at once, and the plan says why.
func TestStopFirst(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*form)
		apart  bool
		why    string
	}{
		"recreate":               {func(f *form) { f.recreate = true }, true, "strategy is Recreate"},
		"annotation":             {func(f *form) { f.order = pod.StopFirst }, true, "annotation"},
		"host port":              {func(f *form) { f.hostPort = 8080 }, true, "host port 8080/TCP is fixed"},
		"host port, start-first": {func(f *form) { f.hostPort, f.order = 8080, pod.StartFirst }, true, "host port 8080/TCP is fixed"},
		"folder":                 {func(f *form) { f.folder = "/srv/data" }, true, "hostPath /srv/data"},
		"folder, start-first":    {func(f *form) { f.folder, f.order = "/srv/data", pod.StartFirst }, false, "start-first"},
		"nothing":                {func(*form) {}, false, "start-first"},
	} {
		t.Run(name, func(t *testing.T) {
			f := web("app:0", 1)
			c.change(&f)
			w := good(t, f)
			f.image = "app:1"
			w.set(f)
			w.advance(2 * time.Second)
			w.check(t, "while the image is fetched", "app:0=1/1")
			if w.said(c.why) == 0 {
				t.Errorf("the plan does not say %q: %q", c.why, w.last.Plan)
			}
			w.advance(time.Second)
			want := "app:0=1/1 app:1=0/1"
			if c.apart {
				want = ""
			}
			w.check(t, "when the image is here", want)
			w.advance(w.grace)
			want = "app:1=0/1"
			if !c.apart {
				want = "app:1=1/1"
			}
			w.check(t, "when the old pod is gone", want)
			w.advance(time.Minute)
			w.check(t, "at the end", "app:1=1/1")
		})
	}
}

// TestStopFirstScaledUp: more pods than there were wait for the old ones too.
func TestStopFirstScaledUp(t *testing.T) {
	f := web("app:0", 1)
	f.recreate = true
	w := good(t, f)
	f.image = "app:1"
	w.set(f)
	w.advance(4 * time.Second)
	f.replicas = 3
	w.set(f)
	w.advance(time.Second)
	w.check(t, "while the old one stops", "")
	w.advance(w.grace - time.Second)
	w.check(t, "when it is gone", "app:1=0/3")
	w.advance(time.Minute)
	w.check(t, "at the end", "app:1=3/3")
}

// TestPullBeforeStop: an image that is missing stops nothing, not even with
// Recreate; what runs is replaced as soon as it is there.
func TestPullBeforeStop(t *testing.T) {
	f := web("app:0", 2)
	f.recreate = true
	w := good(t, f)
	w.absent["app:1"] = true
	f.image = "app:1"
	w.set(f)
	w.advance(time.Hour)
	w.check(t, "without the image", "app:0=2/2")
	if held := w.last.Status.Held; !strings.Contains(held, "app:1") || !strings.Contains(held, "not found") {
		t.Errorf("held: %q", held)
	}
	if w.said("RolloutHeld") != 1 || w.said("RolloutFailed") != 0 {
		t.Errorf("events %q", w.events)
	}
	w.absent["app:1"] = false
	w.advance(time.Minute)
	w.check(t, "with the image", "app:1=2/2")
}

// TestPortBeforeStop: a port that somebody else has stops nothing.
func TestPortBeforeStop(t *testing.T) {
	f := web("app:0", 1)
	w := good(t, f)
	w.taken = []workload.Taken{{HostPort: pod.HostPort{Port: 80, Protocol: "TCP"}, By: "nginx"}}
	f.hostPort = 80
	w.set(f)
	w.advance(time.Hour)
	w.check(t, "with the port taken", "app:0=1/1")
	if !strings.Contains(w.last.Status.Held, "host port 80/TCP is taken by nginx") {
		t.Errorf("held: %q", w.last.Status.Held)
	}
	w.taken = nil
	w.advance(time.Minute)
	if w.check(t, "with the port free", "app:0=1/1"); w.pods[0].port() != 80 {
		t.Error("the new revision did not come when the port was free")
	}
}

// TestNoRoomForTwo: where a second pod does not fit, one makes way.
func TestNoRoomForTwo(t *testing.T) {
	f := web("app:0", 2)
	w := good(t, f)
	w.capacity = 2
	f.image = "app:1"
	w.set(f)
	w.advance(2 * time.Second)
	if w.said("a second one does not fit") == 0 {
		t.Errorf("plan %q", w.last.Plan)
	}
	w.advance(time.Second)
	w.check(t, "first", "app:0=1/1")
	w.advance(5 * time.Minute)
	w.check(t, "at the end", "app:1=2/2")
}

// TestScaleDownEndsTheIll: of pods of one revision those that are not
// available end first.
func TestScaleDownEndsTheIll(t *testing.T) {
	for ill := range 3 {
		f := web("app:0", 3)
		w := good(t, f)
		w.behaviours["app:0"] = behaviour{never: true}
		w.crash(w.pods[ill])
		w.advance(time.Minute)
		f.replicas = 2
		w.set(f)
		w.advance(time.Minute)
		w.check(t, "scaled down", "app:0=2/2")
	}
}

func TestReplicaSetKeepsItsNumber(t *testing.T) {
	f := web("app:0", 3)
	f.kind = pod.KindReplicaSet
	w := newWorld(f)
	w.advance(time.Minute)
	w.check(t, "first", "app:0=3/3")
	f.image = "app:1"
	w.set(f)
	w.advance(time.Minute)
	w.check(t, "its template concerns new pods only", "app:0=3/3")
	w.pods = w.pods[1:]
	w.advance(time.Minute)
	w.check(t, "one vanished", "app:0=2/2 app:1=1/1")
	f.replicas = 1
	w.set(f)
	w.advance(time.Minute)
	if len(w.pods) != 1 {
		t.Errorf("scaled to 1 there are %s", w.census())
	}
}
