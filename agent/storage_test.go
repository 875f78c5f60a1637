package agent_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

// onDisk is a fake with a disk of 100 and app:1 and app:2 on it.
func onDisk(used int64) *fake {
	f := newFake()
	f.disk.size, f.disk.used = 100, used
	for i := range 4 {
		f.store(fmt.Sprintf("app:%d", i), 5, time.Now().Add(time.Duration(i-10)*time.Hour))
	}
	return f
}

func runs(image string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Image = image }
}

func (f *fake) gone() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.disk.removed, " ")
}

func times(a *agent.Agent, reason string) int {
	n := 0
	for _, e := range a.Latest().Events {
		if e.Reason == reason {
			n += int(e.Count)
		}
	}
	return n
}

// What is not used goes, what was used the longest ago first, no earlier than
// two minutes after it was seen unused, until there is room.
func TestImagesAreCollected(t *testing.T) {
	f := onDisk(0)
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", runs("app:0"))))
		settle(time.Minute)
		if p := a.Latest().Disk; len(p.Filesystems) != 1 || p.Pressure() != "" {
			t.Fatalf("disk %+v, want one without pressure", p)
		}
		f.set(func(f *fake) { f.disk.used = 90 })
		settle(50 * time.Second)
		if f.gone() != "" || times(a, "NodeHasDiskPressure") != 1 || times(a, "FreeDiskSpaceFailed") != 1 {
			t.Errorf("after 110 s %q is gone, events %+v", f.gone(), a.Latest().Events)
		}
		if p := a.Latest().Disk.Pressure(); !strings.Contains(p, "3 were used less than 2m0s ago") {
			t.Errorf("pressure %q does not say why nothing goes", p)
		}
		settle(20 * time.Second)
		if f.gone() != "app:1 app:2" { // app:0, the oldest, is in use
			t.Errorf("%q is gone, want app:1 app:2", f.gone())
		}
		if p := a.Latest().Disk.Pressure(); p != "" || times(a, "NodeHasNoDiskPressure") != 1 || times(a, "ImageRemoved") != 2 {
			t.Errorf("pressure %q, events %+v", p, a.Latest().Events)
		}
		if n := a.Latest().Counters; n.ImagesCollected["space"] != 2 || n.ImageBytes != 10 {
			t.Errorf("counted %+v", n)
		}
		calls := f.count("sweep")
		settle(10 * time.Minute)
		if f.gone() != "app:1 app:2" || f.count("sweep") != calls {
			t.Errorf("with room %q is gone, %d sweeps after %d", f.gone(), f.count("sweep"), calls)
		}
	})
}

// The image of the version before stays for a return to it; one that never ran
// well does not take its place.
func TestTheLastGoodImageIsKept(t *testing.T) {
	f := onDisk(0)
	f.images["app:3"] = true
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", runs("app:0"))))
		settle(time.Minute)
		a.Publish(source(desired("web", runs("app:1"))))
		settle(time.Second) // it runs, and not for long
		expect(t, f, "web/app#1.1")
		a.Publish(source(desired("web", runs("app:2"))))
		settle(3 * time.Minute)
		f.set(func(f *fake) { f.disk.used = 100 })
		settle(time.Minute)
		if f.gone() != "app:3" {
			t.Fatalf("%q is gone, want app:3: app:0 is the last good one, app:1 of a dead run, app:2 runs", f.gone())
		}
		f.kill("app", 1)
		settle(5 * time.Minute)
		expect(t, f, "web/app#1.3")
		if f.gone() != "app:3 app:1" {
			t.Fatalf("%q is gone, want app:1 too: app:0 is the last good one", f.gone())
		}
		want := map[string]pod.RunImages{"app": {Now: digestOf("app:2"), Before: digestOf("app:0")}}
		if got := f.disk.good["default/web"]; got["app"] != want["app"] {
			t.Errorf("saved %+v, want %+v", got, want)
		}
		// Nobody returns to the version of a pod that is gone.
		a.Publish(source())
		settle(time.Minute)
		if !strings.Contains(f.gone(), "app:0") {
			t.Errorf("%q is gone, want app:0 too", f.gone())
		}
		settle(3 * time.Minute)
		if len(f.disk.good) != 0 {
			t.Errorf("what is remembered of a pod that is gone: %v", f.disk.good)
		}
	})
}

// Before the sources were read nobody knows which pods there are.
func TestUnreadSourcesKeepImages(t *testing.T) {
	f := onDisk(90)
	f.disk.good = map[string]map[string]pod.RunImages{"default/web": {"app": {Now: digestOf("app:1"), Before: digestOf("app:0")}}}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		settle(5 * time.Minute)
		if f.gone() != "app:2 app:3" {
			t.Errorf("%q is gone, want what no pod ran", f.gone())
		}
		a.Publish(source())
		settle(time.Minute)
		if f.gone() != "app:2 app:3 app:0 app:1" {
			t.Errorf("%q is gone, want all", f.gone())
		}
	})
}

// A pod that comes while an image is removed does not rely on it.
func TestAPullWaitsForARemoval(t *testing.T) {
	f := onDisk(90)
	f.disk.slow = 20 * time.Second
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source())
		settle(130 * time.Second)
		if f.gone() != "" || f.count("removing docker.io/library/app:0") != 1 {
			t.Fatalf("%q is gone after two minutes, want app:0 on its way: %v", f.gone(), f.calls)
		}
		a.Publish(source(desired("web", runs("app:0"))))
		settle(5 * time.Second)
		expect(t, f, "")
		settle(30 * time.Second)
		expect(t, f, "web/app#1.0")
		if order := slices.IndexFunc(f.calls, func(c string) bool { return strings.HasPrefix(c, "remove image") }); order < 0 ||
			slices.Index(f.calls, "pull app:0") < order {
			t.Errorf("calls %v, want the pull after the removal", f.calls)
		}
	})
}

// An image that can't be removed does not keep the others.
func TestAnImageThatCannotBeRemoved(t *testing.T) {
	f := onDisk(90)
	f.disk.locked = map[string]bool{digestOf("app:0"): true}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source())
		settle(4 * time.Minute)
		if f.gone() != "app:1 app:2 app:3" || times(a, "ImageGCFailed") == 0 {
			t.Errorf("%q is gone, events %+v", f.gone(), a.Latest().Events)
		}
		if n := f.count("remove image docker.io/library/app:0"); n > 6 {
			t.Errorf("app:0 was tried %d times within four minutes", n)
		}
	})
}

// The layers of the dead go before images.
func TestDeadLayersAreDropped(t *testing.T) {
	f := onDisk(0)
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("job", runs("app:0"), func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever })))
		settle(time.Second)
		f.set(func(f *fake) {
			for id, c := range f.containers {
				c.Layer = true
				f.containers[id] = c
			}
		})
		f.kill("app", 0)
		settle(time.Second)
		f.set(func(f *fake) { f.disk.used = 90 })
		settle(20 * time.Second)
		if f.count("drop layer") != 1 || a.Latest().Counters.LayersDropped != 1 {
			t.Errorf("calls %v, want one layer dropped", f.calls)
		}
		v, ok := a.Latest().Find(pod.Key{Namespace: "default", Name: "job"})
		if !ok || v.Pod.Status.Phase != corev1.PodSucceeded {
			t.Errorf("shown as %+v", v.Pod)
		}
		expect(t, f, "")
	})
}

// What failed because the disk was full goes on within seconds, and an image
// that did not fit is fetched as soon as there is room for it.
func TestAFullDiskIsRetriedSoon(t *testing.T) {
	f := onDisk(0)
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		f.set(func(f *fake) { f.refuse = fmt.Errorf("write meta.db: %w", syscall.ENOSPC) })
		a.Publish(source(desired("web", runs("app:0"))))
		settle(5 * time.Minute)
		if n := f.count("start"); n < 30 || n > 100 {
			t.Errorf("%d tries within five minutes on a full disk", n)
		}
		f.set(func(f *fake) { f.refuse = nil })
		settle(6 * time.Second)
		expect(t, f, "web/app#1.0")
	})
}

func TestAnImageThatDoesNotFitMakesRoom(t *testing.T) {
	f := onDisk(45)
	f.big = map[string]int64{"big:1": 50}
	f.images["big:1"] = true
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", runs("app:3"))))
		settle(3 * time.Minute)
		a.Publish(source(desired("web", runs("app:3")), desired("big", runs("big:1"))))
		settle(30 * time.Second)
		if f.gone() != "app:0 app:1 app:2" {
			t.Errorf("%q is gone, want so much that 50 of 100 are free", f.gone())
		}
		if !strings.Contains(f.running(), "big/app") {
			t.Errorf("%s runs, want big too", f.running())
		}
	})
}
