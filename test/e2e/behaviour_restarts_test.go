package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

// TestRow06And14_RestartsLeaveContainersAndTheirStatusAlone restarts podstead
// in both ways and looks at the status from the first answer on. Until
// containerd was asked it may be unknown, but not said to be anything else.
func TestRow06And14_RestartsLeaveContainersAndTheirStatusAlone(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{})
	s := newSubject(t, h, "steady", witness("app"), witness("other"))
	s.Spec.InitContainers = []corev1.Container{witness("init", "-exit-after", "0s"), sidecar("s1")}
	first := s.run("1")
	ids := containerIDs(first)
	for _, end := range []func(){h.Kill9, h.Stop} {
		end()
		h.StartWithoutWaiting()
		seen := 0
		h.Eventually(patience, func() error {
			p, err := h.Pod(s.key())
			if err != nil {
				return err
			}
			if p.Status.Phase == corev1.PodUnknown && len(p.Status.ContainerStatuses) == 0 {
				return errors.New("containerd was not asked yet")
			}
			seen++
			for _, c := range slices.Concat(p.Status.ContainerStatuses, p.Status.InitContainerStatuses[1:]) {
				if !c.Ready || c.Started == nil || !*c.Started || c.RestartCount != 0 {
					t.Fatalf("look %d: %s is shown as %+v", seen, c.Name, c)
				}
			}
			if got := containerIDs(p); p.UID != first.UID || !slices.Equal(got, ids) || p.Status.Phase != corev1.PodRunning {
				t.Fatalf("look %d: containers %v of %s, %s, want %v of %s", seen, got, p.UID, p.Status.Phase, ids, first.UID)
			}
			if seen < 20 {
				return fmt.Errorf("%d looks of 20", seen)
			}
			return nil
		})
		h.WaitReady(patience)
	}
	for _, name := range []string{"init", "s1", "app", "other"} {
		if n := len(s.lives(name)); n != 1 {
			t.Errorf("%d runs of %s, want 1", n, name)
		}
	}
}

// containerIDs lists the containers of a pod.
func containerIDs(p corev1.Pod) []string {
	var ids []string
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		ids = append(ids, c.ContainerID)
	}
	return ids
}

// TestFailing03AndRow15_ChangesWhilePodsteadIsDownAreCarriedOutGracefully
// edits and removes manifests of containers that need their grace and of some
// that outlast it.
func TestFailing03AndRow15_ChangesWhilePodsteadIsDownAreCarriedOutGracefully(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{})
	slow, deaf := []string{"-term-delay", "2s"}, []string{"-ignore-term"}
	edited := newSubject(t, h, "edited", witness("app", slow...))
	replaced := newSubject(t, h, "replaced", witness("app", slow...))
	deleted := newSubject(t, h, "deleted", witness("app", slow...))
	outlasts := newSubject(t, h, "outlasts", witness("app", deaf...))
	for _, s := range []*subject{edited, replaced, deleted, outlasts} {
		s.grace(30)
		if s == outlasts {
			s.grace(4)
		}
		s.run("1")
	}
	before := h.Settled()
	h.Kill9()
	edited.write("2")
	replaced.Spec.Hostname = "other"
	replaced.write("2")
	h.Remove(deleted.file())
	h.Remove(outlasts.file())
	started := record.Now()
	h.Start()
	for _, s := range []*subject{edited, replaced} {
		lives := s.waitGeneration("app", "2")
		if old := lives[0]; old.term == 0 || !old.exited || lives[1].from < old.to {
			t.Errorf("%s lived %+v, want the old one to end by itself before the new one", s.Name, lives)
		}
	}
	h.WaitGone(deleted.key(), patience)
	h.WaitGone(outlasts.key(), patience)
	if l := deleted.lives("app")[0]; l.term == 0 || !l.exited {
		t.Errorf("the deleted one lived %+v, want it to end by itself", l)
	}
	l := outlasts.lives("app")[0]
	if l.term == 0 {
		t.Error("the one that outlasts its grace was not told to stop")
	}
	within(t, "life after podstead's start, of 4 s grace", l.to.Sub(started), 3*time.Second, 4*time.Second+2*slack)
	if after := h.Leaks(); len(after["task"]) >= len(before["task"]) {
		t.Errorf("%d tasks of %d are left, want two less", len(after["task"]), len(before["task"]))
	}
}

// TestRow11_TheRuntimeMayBeDownDuringTermination kills containerd while pods
// are on their way out.
func TestRow11_TheRuntimeMayBeDownDuringTermination(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{})
	slow := newSubject(t, h, "slow", witness("app", "-term-delay", "1s"))
	deaf := newSubject(t, h, "deaf", witness("app", "-ignore-term"))
	for _, s := range []*subject{slow, deaf} {
		s.grace(4)
		s.run("1")
	}
	h.Remove(slow.file())
	h.Remove(deaf.file())
	slow.waitTerm("app")
	deaf.waitTerm("app")
	h.SignalContainerd(syscall.SIGKILL)
	h.WaitGone(slow.key(), patience)
	h.WaitGone(deaf.key(), patience)
	if l := slow.lives("app")[0]; !l.exited {
		t.Errorf("it lived %+v, want it to end by itself", l)
	}
	l := deaf.lives("app")[0]
	within(t, "life after SIGTERM, of 4 s grace", l.to.Sub(l.term), 3*time.Second, 4*time.Second+2*slack)
	if left := h.Leaks()["task"]; len(left) > 0 {
		t.Errorf("tasks are left: %v", left)
	}
}

// TestRow34_InitContainersRunAgainInOrderAfterAReboot.
func TestRow34_InitContainersRunAgainInOrderAfterAReboot(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{})
	s := newSubject(t, h, "reboot", witness("app"))
	names := []string{"i1", "i2", "s1", "app"}
	s.Spec.InitContainers = []corev1.Container{witness("i1", "-exit-after", "200ms"), witness("i2", "-exit-after", "200ms"), sidecar("s1")}
	first := s.run("1")
	h.PowerCut()
	h.Start()
	s.waitLives("app", 2)
	second := h.WaitRunning(s.key(), patience)
	if first.UID != second.UID {
		t.Errorf("pod %s became %s: its emptyDir volumes are lost", first.UID, second.UID)
	}
	for i, name := range names {
		lives := s.lives(name)
		if len(lives) != 2 {
			t.Fatalf("%d runs of %s, want 2", len(lives), name)
		}
		if i == 0 {
			continue
		}
		before := s.lives(names[i-1])[1]
		if lives[1].from < before.from || before.exited && lives[1].from < before.to {
			t.Errorf("%s began at %s, %s before it lived %+v", name, lives[1].from, names[i-1], before)
		}
	}
	if left, err := filepath.Glob(filepath.Join(h.Dir, "run", "pods", "*")); err != nil || len(left) != 1 {
		t.Errorf("sandboxes %v, %v, want one", left, err)
	}
	if _, err := os.Stat(filepath.Join(h.Dir, "state", "volumes", string(first.UID))); err != nil {
		t.Error(err)
	}
}
