package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

// behaviour is one promise, tried with pods of its own.
type behaviour struct {
	name string
	try  func(*testing.T, *harness.Host)
}

// onOneHost tries behaviours that don't disturb each other side by side.
func onOneHost(t *testing.T, h *harness.Host, all []behaviour) {
	t.Run("all", func(t *testing.T) {
		for _, b := range all {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				b.try(t, h.For(t))
			})
		}
	})
}

// TestNodeRows are rows of the kubelet's node tests, by their numbers, as far
// as nothing has to be killed for them.
func TestNodeRows(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{Config: "restart: {base: 1s, max: 3s, reset: 1m}\n"})
	h.AddWitnessImage(anotherImage)
	onOneHost(t, h, []behaviour{
		{"Row08_GraceIsRespectedWhenTheManifestIsDeleted", row08},
		{"Row09_AnUpdateDuringGraceWaitsForTheOldToLiveItOut/container", func(t *testing.T, h *harness.Host) { row09(t, h, "row09a", "") }},
		{"Row09_AnUpdateDuringGraceWaitsForTheOldToLiveItOut/pod", func(t *testing.T, h *harness.Host) { row09(t, h, "row09b", "changed") }},
		{"Row10_OfManyUpdatesDuringGraceTheLastRuns", row10},
		{"Row12_RemovedAndRecreatedRunsAgain", row12},
		{"Row13_AFailedUnmountIsRepeatedUntilItSucceeds", row13},
		{"Row16_InitContainersRunSeriallyBeforeRegularOnes", row16},
		{"Row17_RegularContainersDoNotRunIfInitFails", row17},
		{"Row18_AFailingContainerIsRestartedWithoutItsInit", row18},
		{"Row21_TerminationGraceIsRespected", row21},
		{"Row26_SidecarsStartInOrderAndStay", row26},
		{"Row28_SidecarsStopInReverseAfterTheOthers", row28},
		{"Row30_ThePodSucceedsThoughItsSidecarFails", row30},
		{"Row31_AFailingSidecarRestartsBeforeAndAfterTheOthersStart", row31},
		{"Row32_AFailingInitIsRepeatedAndKeepsThePodPending", row32},
		{"Row33_TerminationDuringInitDoesNotHang", row33},
		{"Row35_AnImageEditRestartsOnlyItsContainer", row35},
		{"Row37_BackOffIsCappedAndResetByANewImage", row37},
	})
}

func row08(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row08", witness("app", "-ignore-term"))
	s.grace(4)
	s.run("1")
	removed := record.Now()
	s.remove()
	l := s.lives("app")[0]
	if l.term == 0 {
		t.Error("it was not told to stop")
	}
	within(t, "life after the manifest's removal, of 4 s grace", l.to.Sub(removed), 3*time.Second, 4*time.Second+slack)
}

// row09 edits the container, or with another hostname what only a new pod can
// have.
func row09(t *testing.T, h *harness.Host, name, hostname string) {
	s := newSubject(t, h, name, witness("app", "-ignore-term"))
	s.grace(4)
	s.run("1")
	s.Spec.Hostname = hostname
	s.write("2")
	s.waitTerm("app")
	s.write("3")
	lives := s.waitGeneration("app", "3")
	if got := generations(lives); got != "1 3" {
		t.Errorf("generations %s ran, want 1 3", got)
	}
	within(t, "life of the old one after SIGTERM, of 4 s grace", lives[0].to.Sub(lives[0].term), 3*time.Second, 4*time.Second+slack)
	s.remove()
}

func row10(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row10", witness("app", "-ignore-term"))
	s.grace(3)
	s.run("0")
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	const edits = 80
	for i := range edits {
		// Every other edit needs a new pod.
		s.Spec.Hostname = fmt.Sprintf("h%d", i/2)
		s.write(fmt.Sprint(i + 1))
		<-pace.C
	}
	s.waitGeneration("app", fmt.Sprint(edits))
	p := h.WaitRunning(s.key(), patience)
	if p.Spec.Hostname != s.Spec.Hostname {
		t.Errorf("hostname %q, want the last, %q", p.Spec.Hostname, s.Spec.Hostname)
	}
	s.remove()
}

func row12(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row12", witness("app"))
	first := s.run("1")
	s.remove()
	second := s.run("1")
	if first.UID == second.UID {
		t.Errorf("both pods have the uid %s", first.UID)
	}
	s.remove()
	// Not even while the old one is on its way out.
	s.run("1")
	h.Remove(s.file())
	s.waitTerm("app")
	s.write("1")
	s.waitLives("app", 4)
	s.remove()
}

// row13 keeps a mount of the pod busy while the pod is torn down.
func row13(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row13", witness("app"))
	s.Spec.Volumes = []corev1.Volume{{Name: "cache", VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: resource.NewQuantity(1<<20, resource.BinarySI)}}}}
	s.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "cache", MountPath: "/cache"}}
	p := s.run("1")
	busy, err := os.Create(filepath.Join(h.Dir, "state", "volumes", string(p.UID), "volumes", "cache", "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	h.Remove(s.file())
	h.Eventually(patience, func() error {
		out, err := h.CLI("describe", "pod", s.Name)
		if err == nil && !strings.Contains(out, "busy") {
			err = fmt.Errorf("the obstacle is not told: %s", out)
		}
		return err
	})
	s.write("2")
	busy.Close()
	s.waitGeneration("app", "2")
	h.WaitRunning(s.key(), patience)
	s.remove()
}

func row16(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row16", witness("app"))
	names := []string{"i1", "i2", "i3", "app"}
	for _, n := range names[:3] {
		s.Spec.InitContainers = append(s.Spec.InitContainers, witness(n, "-exit-after", "800ms"))
	}
	s.run("1")
	for i := 1; i < len(names); i++ {
		before, after := s.lives(names[i-1]), s.lives(names[i])
		if len(before) != 1 || !before[0].exited || len(after) != 1 || after[0].from < before[0].to {
			t.Errorf("%s lived %+v, %s lived %+v, want one after the other", names[i-1], before, names[i], after)
		}
	}
	s.remove()
}

func row17(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row17", witness("app"))
	s.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.Spec.InitContainers = []corev1.Container{witness("good", "-exit-after", "0s"), witness("bad", "-exit-after", "1s", "-exit-code", "3")}
	s.write("1")
	p := waitPhase(h, s.key(), corev1.PodFailed)
	if ended := status(p, "bad").State.Terminated; ended == nil || ended.ExitCode != 3 {
		t.Errorf("bad: %+v, want exit code 3", status(p, "bad").State)
	}
	if state := status(p, "app").State; state.Waiting == nil || len(s.lives("app")) > 0 {
		t.Errorf("app: %+v after %d runs, want it to wait and never have run", state, len(s.lives("app")))
	}
	s.remove()
}

// waitPhase waits until a pod has a phase.
func waitPhase(h *harness.Host, key string, phase corev1.PodPhase) corev1.Pod {
	return h.WaitPod(key, patience, func(p corev1.Pod) error {
		if p.Status.Phase != phase {
			return fmt.Errorf("phase %s, want %s", p.Status.Phase, phase)
		}
		return nil
	})
}

func row18(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "row18", witness("app", "-exit-after", "200ms", "-exit-code", "1"), witness("other"))
	s.Spec.InitContainers = []corev1.Container{witness("init", "-exit-after", "0s")}
	s.write("1")
	s.waitLives("app", 4)
	h.WaitPod(s.key(), patience, func(p corev1.Pod) error {
		if c := status(p, "app"); c.RestartCount < 3 {
			return fmt.Errorf("restart count %d, want 3", c.RestartCount)
		}
		return nil
	})
	for name, want := range map[string]int{"init": 1, "other": 1} {
		if got := len(s.lives(name)); got != want {
			t.Errorf("%d runs of %s, want %d", got, name, want)
		}
	}
	s.remove()
}
