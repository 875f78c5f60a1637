package e2e

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

func row21(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row21", witness("slow", "-term-delay", "1s"), witness("deaf", "-ignore-term"))
	s.grace(3)
	s.run("1")
	removed := record.Now()
	s.remove()
	slow, deaf := s.lives("slow")[0], s.lives("deaf")[0]
	if !slow.exited {
		t.Error("slow was killed within its grace")
	}
	within(t, "life of slow after SIGTERM", slow.to.Sub(slow.term), 900*time.Millisecond, 3*time.Second)
	within(t, "life of deaf, of 3 s grace", deaf.to.Sub(removed), 2*time.Second, 3*time.Second+slack)
}

func row26(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row26", witness("app"))
	s.Spec.InitContainers = []corev1.Container{witness("init", "-exit-after", "1s"), sidecar("s1"), sidecar("s2")}
	p := s.run("1")
	init, s1, s2, app := s.lives("init")[0], s.lives("s1"), s.lives("s2"), s.lives("app")
	if len(s1) != 1 || len(s2) != 1 || len(app) != 1 {
		t.Fatalf("%d, %d and %d runs, want one each", len(s1), len(s2), len(app))
	}
	if !init.exited || init.to > s1[0].from || s1[0].from > s2[0].from || s2[0].from > app[0].from {
		t.Errorf("init ended at %s, then came %s, %s and %s", init.to, s1[0].from, s2[0].from, app[0].from)
	}
	for _, name := range []string{"s1", "s2", "app"} {
		if status(p, name).State.Running == nil {
			t.Errorf("%s does not run beside the others: %+v", name, status(p, name).State)
		}
	}
	s.remove()
}

func row28(t *testing.T, h *harness.Host) {
	args := []string{"-term-delay", "300ms"}
	s := newSubject(t, h, "row28", witness("app", args...), witness("other", args...))
	s.Spec.InitContainers = []corev1.Container{sidecar("s1", args...), sidecar("s2", args...)}
	s.grace(20)
	s.run("1")
	s.remove()
	app, other, s1, s2 := s.lives("app")[0], s.lives("other")[0], s.lives("s1")[0], s.lives("s2")[0]
	for _, l := range []lifetime{app, other, s1, s2} {
		if !l.exited {
			t.Errorf("%+v was killed", l)
		}
	}
	if s2.term < max(app.to, other.to) || s1.term < s2.to {
		t.Errorf("app and other ended at %s and %s, s2 was told at %s and ended at %s, s1 was told at %s",
			app.to, other.to, s2.term, s2.to, s1.term)
	}
}

func row30(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row30", witness("app", "-exit-after", "500ms"))
	s.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.Spec.InitContainers = []corev1.Container{sidecar("s1", "-term-code", "7")}
	s.write("1")
	h.WaitPod(s.key(), patience, func(p corev1.Pod) error {
		ended := status(p, "s1").State.Terminated
		if p.Status.Phase != corev1.PodSucceeded || ended == nil || ended.ExitCode != 7 {
			return fmt.Errorf("phase %s, sidecar %+v, want Succeeded and exit code 7", p.Status.Phase, status(p, "s1").State)
		}
		return nil
	})
	if n := len(s.lives("s1")); n != 1 {
		t.Errorf("%d runs of the sidecar, want 1", n)
	}
	s.remove()
}

func row31(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row31", witness("app"))
	s.Spec.InitContainers = []corev1.Container{
		sidecar("s1", "-exit-after", "300ms", "-exit-code", "1"), witness("init", "-exit-after", "3s"),
	}
	s.write("1")
	app := s.waitLives("app", 1)[0]
	before := 0
	for _, l := range s.lives("s1") {
		if l.from < app.from {
			before++
		}
	}
	if before < 2 {
		t.Errorf("the sidecar ran %d times before the others started, want at least twice", before)
	}
	s.waitLives("s1", before+1)
	h.WaitPod(s.key(), patience, func(p corev1.Pod) error {
		if c := status(p, "s1"); int(c.RestartCount) < before {
			return fmt.Errorf("restart count of the sidecar %d, want %d", c.RestartCount, before)
		}
		return nil
	})
	if a, i := len(s.lives("app")), len(s.lives("init")); a != 1 || i != 1 {
		t.Errorf("%d runs of app and %d of init, want one each", a, i)
	}
	s.remove()
}

func row32(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row32", witness("app"))
	s.Spec.InitContainers = []corev1.Container{witness("init", "-exit-after", "100ms", "-exit-code", "1")}
	s.write("1")
	s.waitLives("init", 3)
	p := h.WaitPod(s.key(), patience, func(p corev1.Pod) error {
		if c := status(p, "init"); c.RestartCount < 2 {
			return fmt.Errorf("restart count %d, want 2", c.RestartCount)
		}
		return nil
	})
	if p.Status.Phase != corev1.PodPending || len(s.lives("app")) > 0 {
		t.Errorf("phase %s, %d runs of app, want Pending and none", p.Status.Phase, len(s.lives("app")))
	}
	s.remove()
}

func row33(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row33", witness("app"))
	s.grace(120)
	s.Spec.InitContainers = []corev1.Container{witness("init", "-term-delay", "300ms"), witness("later", "-exit-after", "0s")}
	s.write("1")
	s.waitLives("init", 1)
	h.Remove(s.file())
	h.WaitGone(s.key(), patience)
	if lives := s.lives("init"); !lives[0].exited {
		t.Errorf("init was killed within its grace: %+v, events %+v", lives, h.Events(s.key()))
	}
	if later, app := len(s.lives("later")), len(s.lives("app")); later+app > 0 {
		t.Errorf("later ran %d and app %d times", later, app)
	}
}

func row35(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row35", witness("app"), witness("other"))
	s.Spec.InitContainers = []corev1.Container{sidecar("s1")}
	before := s.run("1")
	for i, name := range []string{"app", "s1"} {
		for _, c := range []*corev1.Container{&s.Spec.Containers[0], &s.Spec.InitContainers[0]} {
			if c.Name == name {
				c.Image = anotherImage
			}
		}
		s.write("1")
		s.waitLives(name, 2)
		after := h.WaitPod(s.key(), patience, func(p corev1.Pod) error {
			if c := status(p, name); c.State.Running == nil || c.RestartCount != 1 || c.Image != anotherImage {
				return fmt.Errorf("%s: %+v, want it to run %s, restarted once", name, c, anotherImage)
			}
			return nil
		})
		if after.UID != before.UID || status(after, "other").ContainerID != status(before, "other").ContainerID {
			t.Errorf("the edit of %s touched more than it", name)
		}
		if want := []int{1, 2}[i]; len(s.lives("s1")) != want {
			t.Errorf("%d runs of s1, want %d", len(s.lives("s1")), want)
		}
	}
	if n := len(s.lives("other")); n != 1 {
		t.Errorf("%d runs of other, want 1", n)
	}
	s.remove()
}

// row37 has a base of 1 s and a cap of 3 s.
func row37(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row37", witness("app", "-exit-after", "0s", "-exit-code", "1"))
	s.write("1")
	lives := s.waitLives("app", 6)
	for i, least := range []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
		// Without the cap the last pause were 8 s.
		within(t, fmt.Sprintf("pause before restart %d", i+1), lives[i+1].from.Sub(lives[i].to), least, 7900*time.Millisecond)
	}
	s.Spec.Containers[0].Image = anotherImage
	s.write("2")
	lives = s.waitGeneration("app", "2")
	n := len(lives)
	lives = s.waitLives("app", n+1)
	within(t, "pause before the first restart of the new image", lives[n].from.Sub(lives[n-1].to), 0, 2900*time.Millisecond)
	s.remove()
}

// TestRow36_RestartsBackOff is with the constants of production. The second
// pod fails when this test's other hosts have started: of the two first
// restarts, which are at once, the quicker counts.
func TestRow36_RestartsBackOff(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{})
	s := newSubject(t, h, "row36", witness("app", "-exit-after", "0s", "-exit-code", "1"))
	late := newSubject(t, h, "row36-late", witness("app", "-exit-after", "15s", "-exit-code", "1"))
	s.write("1")
	late.write("1")
	lives, others := s.waitLives("app", 4), late.waitLives("app", 2)
	pause := func(lives []lifetime, restart int) time.Duration { return lives[restart].from.Sub(lives[restart-1].to) }
	within(t, "pause before restart 1", min(pause(lives, 1), pause(others, 1)), 0, 9*time.Second)
	within(t, "pause before restart 2", pause(lives, 2), 10*time.Second, 19*time.Second)
	within(t, "pause before restart 3", pause(lives, 3), 20*time.Second, 39*time.Second)
	h.WaitPod(s.key(), patience, func(p corev1.Pod) error {
		c := status(p, "app")
		if c.RestartCount != 3 || c.State.Waiting == nil || c.State.Waiting.Reason != "CrashLoopBackOff" {
			return fmt.Errorf("%+v, want 3 restarts and CrashLoopBackOff", c)
		}
		return nil
	})
	s.remove()
	late.remove()
}
