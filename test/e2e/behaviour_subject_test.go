package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/test/checker"
	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/leaks"
	"github.com/podstead/podstead/test/record"
)

// anotherImage has the same content as image under another name.
const anotherImage = "example.org/witness:2"

const (
	// slack is how much later than right something may come on a busy machine.
	slack = 10 * time.Second
	// patience is how long something is waited for that is not about time.
	patience = 90 * time.Second
)

// subject is a pod of witnesses that a test writes, changes and removes.
type subject struct {
	t *testing.T
	h *harness.Host
	corev1.Pod
}

// newSubject makes a pod of witnesses with a grace of 5 seconds.
func newSubject(t *testing.T, h *harness.Host, name string, containers ...corev1.Container) *subject {
	t.Helper()
	s := &subject{t: t, h: h}
	s.Namespace, s.Name = "default", name
	s.Spec.Containers = containers
	s.grace(5)
	return s
}

func (s *subject) grace(seconds int64) { s.Spec.TerminationGracePeriodSeconds = &seconds }

// witness is a container whose life is written down.
func witness(name string, args ...string) corev1.Container {
	return corev1.Container{Name: name, Image: image, Args: args}
}

// sidecar is a witness that is an init container and goes on.
func sidecar(name string, args ...string) corev1.Container {
	c := witness(name, args...)
	always := corev1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	return c
}

// hostPath mounts a folder of the host into every container.
func (s *subject) hostPath(name, path, at string) {
	s.Spec.Volumes = append(s.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}})
	for i := range s.Spec.Containers {
		c := &s.Spec.Containers[i]
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: at})
	}
}

// yaml is the manifest. generation tells versions apart in the diaries.
func (s *subject) yaml(generation string) string {
	s.t.Helper()
	spec := s.Spec.DeepCopy()
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			s.equip(&list[i], generation)
		}
	}
	directory := corev1.HostPathDirectory
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "w", VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: s.h.Witness, Type: &directory}}})
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": s.Name}, "spec": spec,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *subject) equip(c *corev1.Container, generation string) {
	c.Env = append(slices.Clone(c.Env),
		corev1.EnvVar{Name: "WITNESS_DIR", Value: "/w"},
		corev1.EnvVar{Name: "WITNESS_ID", Value: checker.ID(s.key(), c.Name)},
		corev1.EnvVar{Name: "WITNESS_GENERATION", Value: generation},
		corev1.EnvVar{Name: "WITNESS_UID", ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.uid"}}},
	)
	c.VolumeMounts = append(slices.Clone(c.VolumeMounts), corev1.VolumeMount{Name: "w", MountPath: "/w"})
}

func (s *subject) key() string  { return s.Namespace + "/" + s.Name }
func (s *subject) file() string { return s.Name + ".yaml" }

// write puts a version of the manifest into place.
func (s *subject) write(generation string) {
	s.t.Helper()
	s.h.Write(s.file(), s.yaml(generation))
}

// run writes the manifest of a new pod or of another version, and waits until
// every container has begun.
func (s *subject) run(generation string) corev1.Pod {
	s.t.Helper()
	var before []int
	for _, c := range s.Spec.Containers {
		before = append(before, len(s.lives(c.Name)))
	}
	s.write(generation)
	p := s.h.WaitRunning(s.key(), patience)
	for i, c := range s.Spec.Containers {
		s.waitLives(c.Name, before[i]+1)
		s.waitGeneration(c.Name, generation)
	}
	return p
}

// remove removes the manifest and waits until the pod is gone.
func (s *subject) remove() {
	s.t.Helper()
	s.h.Remove(s.file())
	s.h.WaitGone(s.key(), patience)
}

// lifetime is one run of a witness.
type lifetime struct {
	generation, uid string
	from            record.Moment
	// term is when it was told to stop, 0 when it was not.
	term record.Moment
	// to is when it was last seen alive.
	to record.Moment
	// exited tells that it ended by itself.
	exited bool
}

// lives reads a container's diary. A second process beside a living one fails
// the test.
func (s *subject) lives(container string) []lifetime {
	s.t.Helper()
	id := checker.ID(s.key(), container)
	diary, err := record.Load[record.Witness](record.Path(s.h.Witness, id))
	if err != nil {
		s.t.Fatal(err)
	}
	beats, err := record.LastBeats(s.h.Witness, id)
	if err != nil {
		s.t.Fatal(err)
	}
	var lives []lifetime
	for _, e := range diary {
		switch e.Event {
		case record.Duplicate:
			s.t.Fatalf("%s: two processes lived at the same time, at %s", id, e.At)
		case record.Start:
			lives = append(lives, lifetime{generation: e.Generation, uid: e.PodUID, from: e.At, to: max(e.At, beats[e.Run])})
		case record.Term:
			lives[len(lives)-1].term = e.At
		case record.Exit:
			lives[len(lives)-1].exited, lives[len(lives)-1].to = true, e.At
		}
	}
	return lives
}

// waitLives waits until a container has had a number of runs.
func (s *subject) waitLives(container string, n int) []lifetime {
	s.t.Helper()
	var lives []lifetime
	s.h.Eventually(patience, func() error {
		if lives = s.lives(container); len(lives) < n {
			return fmt.Errorf("%d runs of %s, want %d", len(lives), container, n)
		}
		return nil
	})
	return lives
}

// waitGeneration waits until a container's newest run is of a generation.
func (s *subject) waitGeneration(container, generation string) []lifetime {
	s.t.Helper()
	var lives []lifetime
	s.h.Eventually(patience, func() error {
		lives = s.lives(container)
		if n := len(lives); n == 0 || lives[n-1].generation != generation {
			return fmt.Errorf("runs of %s: %+v, want generation %s at last", container, lives, generation)
		}
		return nil
	})
	return lives
}

// waitTerm waits until a container's newest run was told to stop.
func (s *subject) waitTerm(container string) {
	s.t.Helper()
	s.h.Eventually(patience, func() error {
		if lives := s.lives(container); len(lives) == 0 || lives[len(lives)-1].term == 0 {
			return fmt.Errorf("%s was not told to stop", container)
		}
		return nil
	})
}

// generations lists the versions of which a container had runs.
func generations(lives []lifetime) string {
	var all []string
	for _, l := range lives {
		all = append(all, l.generation)
	}
	return strings.Join(slices.Compact(all), " ")
}

// status finds the status of a container of either kind.
func status(p corev1.Pod, container string) corev1.ContainerStatus {
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if c.Name == container {
			return c
		}
	}
	return corev1.ContainerStatus{}
}

// within fails the test unless low ≤ d ≤ high.
func within(t *testing.T, what string, d, low, high time.Duration) {
	t.Helper()
	if d < low || d > high {
		t.Errorf("%s: %s, want %s to %s", what, d, low, high)
	}
}

// want tells the judge which generation is wanted from now on.
func (s *subject) want(generation string) {
	s.t.Helper()
	m := record.Manifest{Pod: s.key(), Grace: time.Duration(*s.Spec.TerminationGracePeriodSeconds) * time.Second, Containers: map[string]string{}}
	for _, c := range s.Spec.Containers {
		m.Containers[c.Name] = generation
	}
	s.h.Want(m)
}

// nothingLeft waits until a host is as it was before its pods, but for what
// other hosts, on which tests run beside this one, share with it.
func nothingLeft(h *harness.Host, before leaks.Snapshot) {
	mine := func(s leaks.Snapshot) leaks.Snapshot {
		for _, kind := range []string{"shim socket", "link", "nft"} {
			delete(s, kind)
		}
		s["process"] = slices.DeleteFunc(s["process"], func(p string) bool { return strings.HasPrefix(p, "zombie ") || p == "podstead" })
		return s
	}
	before = mine(before)
	h.Eventually(patience, func() error {
		// A mount that containerd made for a moment may be in the first look.
		ended := func(line string) bool { return strings.HasPrefix(line, "- mount: ") }
		if diff := slices.DeleteFunc(leaks.Diff(before, mine(h.Leaks())), ended); len(diff) > 0 {
			return fmt.Errorf("left behind: %q", diff)
		}
		return nil
	})
}
