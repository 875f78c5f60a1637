package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/test/harness"
)

// TestFailings are what the kubelet gets wrong without an API server, by the
// numbers of the list, as far as nothing has to be killed for them.
func TestFailings(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{Config: "restart: {base: 1s, max: 3s, reset: 1m}\n"})
	onOneHost(t, h, []behaviour{
		{"Failing01_ABadEditKeepsThePod", failing01},
		{"Failing02_AnEditHasLittleDowntime", failing02},
		{"Failing02_AnImageThatCanNotBePulledKeepsTheOldRunning", failing02Pull},
		{"Failing04_SizeLimitOnDiskIsEnforced", failing04},
		{"Failing05_ARejectionForAPortIsNotFinal", failing05Port},
		{"Failing05_ARejectionForMemoryIsNotFinal", failing05Memory},
		{"Failing06And07_WhatThereIsNotIsRefusedClearly", failing06And07},
		{"Failing10_EventsAndDescribeExplain", failing10},
		{"Extra_TheSecondDocumentOfAFileRuns", secondDocument},
	})
}

// told waits until a command prints all texts.
func told(h *harness.Host, texts []string, args ...string) {
	h.Eventually(patience, func() error {
		out, err := h.CLI(args...)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if !strings.Contains(out, text) {
				return fmt.Errorf("podstead %s does not tell %q: %s", strings.Join(args, " "), text, out)
			}
		}
		return nil
	})
}

func failing01(t *testing.T, h *harness.Host) {
	s, beside := newSubject(t, h, "bad-edit", witness("app")), newSubject(t, h, "beside-it", witness("app"))
	before := s.run("1")
	beside.run("1")
	good := s.yaml("1")
	// Each complaint is one of its own, so that none is taken for another.
	for _, bad := range []struct{ name, manifest, complaint string }{
		{"broken YAML", "apiVersion: v1\nkind: [\n", "did not find expected node content"},
		{"a field that does not exist", strings.Replace(good, "restartPolicy", "restartPolicie", 1) + "  frobnicate: 1\n", "frobnicate"},
		{"a value that can't be", strings.Replace(good, "terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: -5", 1), "terminationGracePeriodSeconds"},
		{"the first part only", good[:strings.Index(good, "spec:")], "spec.containers"},
		{"nothing at all", "", "empty"},
	} {
		h.Write(s.file(), bad.manifest)
		told(h, []string{bad.complaint}, "describe", "pod", s.Name)
		if n := len(s.lives("app")); n != 1 {
			t.Fatalf("%s: %d runs, want the first one to go on", bad.name, n)
		}
	}
	// A good edit of another pod passes by the bad one.
	beside.write("2")
	beside.waitGeneration("app", "2")
	if after := h.WaitRunning(s.key(), patience); after.UID != before.UID || containerID(after) != containerID(before) {
		t.Errorf("container %s of %s became %s of %s", containerID(before), before.UID, containerID(after), after.UID)
	}
	s.write("2")
	s.waitGeneration("app", "2")
	s.remove()
	beside.remove()
}

// failing02 takes the best of some edits, for the machine may be busy: a
// kubelet takes more than 10 s each time.
func failing02(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "edit", witness("app"))
	s.run("0")
	for _, kind := range []string{"container", "pod"} {
		best := time.Hour
		for i := 0; i < 4 || i < 12 && best >= time.Second; i++ {
			if kind == "pod" {
				s.Spec.Hostname = fmt.Sprintf("host%d", i)
			}
			generation := fmt.Sprintf("%s%d", kind, i)
			s.write(generation)
			lives := s.waitGeneration("app", generation)
			n := len(lives)
			best = min(best, lives[n-1].from.Sub(lives[n-2].to))
			h.WaitRunning(s.key(), patience)
		}
		t.Logf("%s: %s from exit to start", kind, best)
		within(t, "from the exit of the old "+kind+" to the start of the new", best, 0, time.Second)
	}
	s.remove()
}

func failing02Pull(t *testing.T, h *harness.Host) {
	const missing = "127.0.0.1:1/witness:3"
	for _, kind := range []string{"container", "pod"} {
		s := newSubject(t, h, "pull-"+kind, witness("app"))
		s.run("1")
		s.Spec.Containers[0].Image = strings.Replace(missing, ":3", ":"+kind, 1)
		if kind == "pod" {
			s.Spec.Hostname = "other"
		}
		s.write("2")
		told(h, []string{"the running version stays", "connection refused"}, "describe", "pod", s.Name)
		if lives := s.lives("app"); len(lives) != 1 || lives[0].term != 0 {
			t.Errorf("the old one lived %+v, want it not to be touched", lives)
		}
		h.AddWitnessImage(s.Spec.Containers[0].Image)
		lives := s.waitGeneration("app", "2")
		if got := generations(lives); got != "1 2" {
			t.Errorf("generations %s ran, want 1 2", got)
		}
		s.remove()
	}
}

func failing04(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "size-limit", witness("app", "-message", strings.Repeat("x", 64<<10), "-message-path", "/cache/file"))
	s.Spec.Volumes = []corev1.Volume{{Name: "cache", VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(16<<10, resource.BinarySI)}}}}
	s.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "cache", MountPath: "/cache"}}
	first := s.run("1")
	told(h, []string{"Evicted", `emptyDir volume "cache"`, "16Ki"}, "events", "--for", "pod/"+s.Name)
	lives := s.waitLives("app", 2)
	if lives[0].uid != string(first.UID) || lives[1].uid == lives[0].uid || lives[0].term == 0 || !lives[0].exited {
		t.Errorf("it lived %+v, want the first one to be told to stop, and another pod after it", lives)
	}
	s.remove()
	if left, err := os.Stat(filepath.Join(h.Dir, "state", "volumes", string(first.UID))); err == nil {
		t.Errorf("%s is left", left.Name())
	}
}

// onHostPort makes a pod that takes a port of the host.
func onHostPort(t *testing.T, h *harness.Host, name string) *subject {
	s := newSubject(t, h, name, witness("app"))
	s.Spec.HostNetwork = true
	s.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 4534, HostPort: 4534}}
	return s
}

func failing05Port(t *testing.T, h *harness.Host) {
	first, second := onHostPort(t, h, "port-first"), onHostPort(t, h, "port-second")
	first.run("1")
	second.write("1")
	told(h, []string{"PortConflict", "4534", "default/port-first"}, "describe", "pod", second.Name)
	if n := len(second.lives("app")); n > 0 {
		t.Errorf("the second one ran %d times", n)
	}
	first.remove()
	second.waitLives("app", 1)
	h.WaitRunning(second.key(), patience)
	// The same pod under another name takes the port over.
	third := onHostPort(t, h, "port-third")
	third.write("1")
	h.Remove(second.file())
	third.waitLives("app", 1)
	h.WaitGone(second.key(), patience)
	if before, after := second.lives("app")[0], third.lives("app")[0]; after.from < before.to {
		t.Errorf("the third one began at %s, the second one ended at %s", after.from, before.to)
	}
	third.remove()
}

func failing05Memory(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "too-large", witness("app"))
	request := func(text string) {
		s.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(text)}
	}
	request("900Ti")
	s.write("1")
	told(h, []string{"InsufficientMemory", "900Ti"}, "describe", "pod", s.Name)
	if p, err := h.Pod(s.key()); err != nil || p.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s, %v, want Pending", p.Status.Phase, err)
	}
	request("8Mi")
	s.run("2")
	s.remove()
}

// failing06And07 asks for what there is only with an API server.
func failing06And07(t *testing.T, h *harness.Host) {
	volume := func(v corev1.VolumeSource) func(*subject) {
		return func(s *subject) { s.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: v}} }
	}
	class := "gvisor"
	for name, c := range map[string]struct {
		change func(*subject)
		told   []string
	}{
		"runtime-class": {func(s *subject) { s.Spec.RuntimeClassName = &class }, []string{"spec.runtimeClassName", `"gvisor"`}},
		"config-map":    {volume(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}), []string{"spec.volumes[0].configMap", "hostPath"}},
		"secret":        {volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "x"}}), []string{"spec.volumes[0].secret", "hostPath"}},
		"claim": {volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "x"}}),
			[]string{"spec.volumes[0].persistentVolumeClaim"}},
		"service-account": {func(s *subject) { s.Spec.ServiceAccountName = "robot" }, []string{"spec.serviceAccountName", `"robot"`}},
		"env-from": {func(s *subject) {
			s.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "x"}, Key: "y"}}}}
		}, []string{"spec.containers[0].env[0].valueFrom.configMapKeyRef"}},
	} {
		s := newSubject(t, h, name, witness("app"))
		s.run("1")
		c.change(s)
		s.write("2")
		told(h, append(c.told, s.file()), "describe", "pod", s.Name)
		out, err := h.CLI("check", filepath.Join(h.Manifests, s.file()))
		if err == nil {
			t.Errorf("%s: check is content: %s", name, out)
		}
		for _, text := range c.told {
			if !strings.Contains(out, text) {
				t.Errorf("%s: check does not tell %q: %s", name, text, out)
			}
		}
		if n := len(s.lives("app")); n != 1 {
			t.Errorf("%s: %d runs, want the good version to go on", name, n)
		}
		s.remove()
	}
}

func failing10(t *testing.T, h *harness.Host) {
	s := newSubject(t, h, "explained", witness("app", "-complain", "it hurts here", "-exit-after", "100ms", "-exit-code", "9"))
	s.write("1")
	s.waitLives("app", 3)
	told(h, []string{"Started", "Error", "exit code 9"}, "events", "--for", "pod/"+s.Name)
	told(h, []string{"Exit Code:", "9", "it hurts here", "explained.yaml", "Restart Count:"}, "describe", "pod", s.Name)
	h.Eventually(patience, func() error {
		out, err := h.CLI("get", "pods")
		i := slices.IndexFunc(strings.Split(out, "\n"), func(line string) bool {
			return strings.HasPrefix(line, s.Name+" ") && strings.Contains(line, "CrashLoopBackOff")
		})
		if err == nil && i < 0 {
			err = fmt.Errorf("no CrashLoopBackOff: %s", out)
		}
		return err
	})
	s.remove()
}

func secondDocument(t *testing.T, h *harness.Host) {
	one, two := newSubject(t, h, "one", witness("app")), newSubject(t, h, "two", witness("app"))
	h.Write("both.yaml", one.yaml("1")+"---\n"+two.yaml("1"))
	one.waitLives("app", 1)
	two.waitLives("app", 1)
	h.Write("both.yaml", one.yaml("1"))
	h.WaitGone(two.key(), patience)
	if lives := one.lives("app"); len(lives) != 1 || lives[0].term != 0 {
		t.Errorf("the first one lived %+v, want it not to be touched", lives)
	}
	h.Remove("both.yaml")
	h.WaitGone(one.key(), patience)
}
