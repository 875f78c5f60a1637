package e2e

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/test/harness"
)

var (
	stateSeed  = flag.Uint64("state.seed", 0, "seed of the bits that are flipped in state; 0 for another one each time")
	stateFlips = flag.Int("state.flips", 10, "how many bits are flipped in state")
)

// damages are what can become of a file that podstead keeps.
var damages = []struct {
	name string
	do   func(path string) error
}{
	{"removed", os.Remove},
	{"empty", func(path string) error { return os.Truncate(path, 0) }},
	{"one byte", func(path string) error { return os.Truncate(path, 1) }},
	{"half", func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()/2)
	}},
	{"garbage", func(path string) error { return os.WriteFile(path, []byte("\x00\xff{"), 0o600) }},
	{"directory", replaced(func(path string) error { return os.Mkdir(path, 0o700) })},
	{"FIFO", replaced(func(path string) error { return unix.Mkfifo(path, 0o600) })},
	{"link to nowhere", replaced(func(path string) error { return os.Symlink("/nowhere", path) })},
	{"link to a device", replaced(func(path string) error { return os.Symlink("/dev/zero", path) })},
}

func replaced(by func(path string) error) func(string) error {
	return func(path string) error { return errors.Join(os.Remove(path), by(path)) }
}

// TestF17_DamagedState: whatever becomes of the files that podstead keeps while
// it is down, it starts, says so, and no container notices.
func TestF17_DamagedState(t *testing.T) {
	t.Parallel()
	if *stateSeed == 0 {
		*stateSeed = uint64(time.Now().UnixNano())
	}
	t.Logf("-state.seed=%d", *stateSeed)
	random := rand.New(rand.NewPCG(*stateSeed, 0))
	h := newHost(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 1m}\n"})
	before := h.Settled()
	s := newSubject(t, h, "steady", witness("app", "-listen", ":80"), witness("other"))
	s.Spec.Containers[0].ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
		HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(80)}}}
	crashing := newSubject(t, h, "crashed", witness("app", "-exit-after", "1s"))
	crashing.Spec.RestartPolicy = "Never"
	gone := newSubject(t, h, "gone", witness("app"))
	gone.run("1")
	gone.remove() // of which the history tells
	ids := containerIDs(s.run("1"))
	crashing.write("1")
	crashing.waitLives("app", 1)
	restart := func(what string) {
		t.Helper()
		from := time.Now()
		h.Start()
		within(t, "start with "+what, time.Since(from), 0, 5*time.Second+slack)
		if got := containerIDs(h.WaitRunning(s.key(), patience)); !slices.Equal(got, ids) {
			t.Fatalf("with %s the containers %v became %v", what, ids, got)
		}
	}
	whole := stateFiles(t, h)
	for _, d := range damages {
		h.Stop()
		for path := range whole {
			whole.restore(t, path)
			if err := d.do(path); err != nil {
				t.Fatalf("%s: %v", d.name, err)
			}
		}
		restart("each file " + d.name)
	}
	flipped := map[string]int{}
	for range *stateFlips {
		h.Stop()
		files := slices.Sorted(maps.Keys(whole))
		path := files[random.IntN(len(files))]
		whole.restore(t, path)
		flipBit(t, path, random)
		flipped[filepath.Base(path)]++
		restart("a bit of " + path + " flipped")
	}
	t.Logf("files with flipped bits: %v", flipped)
	// What was known before is known again, and edits work.
	for _, s := range []*subject{s, crashing} {
		if n := len(s.lives("app")); n != 1 {
			t.Errorf("%s had %d runs", s.Name, n)
		}
	}
	s.write("2")
	s.waitGeneration("app", "2")
	s.remove()
	crashing.remove()
	nothingLeft(h, before)
}

// state is the content of files by their paths.
type state map[string][]byte

// restore puts the content of a file in the place of whatever is there.
func (s state) restore(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, s[path], 0o600)); err != nil {
		t.Fatal(err)
	}
}

// stateFiles are the files that podstead keeps itself, over restarts and over
// reboots. Each must come.
func stateFiles(t *testing.T, h *harness.Host) state {
	t.Helper()
	found := state{}
	for _, name := range []string{"state/sources/files.json", "state/history", "state/good-images", "state/node-id", "state/runtime", "run/node", "run/verdicts"} {
		path := filepath.Join(h.Dir, name)
		h.Eventually(patience, func() (err error) {
			found[path], err = os.ReadFile(path)
			return err
		})
	}
	return found
}

func flipBit(t *testing.T, path string, random *rand.Rand) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 {
		t.Fatalf("%s: %v, %d bytes", path, err, len(text))
	}
	text[random.IntN(len(text))] ^= 1 << random.IntN(8)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestF19_ForeignThings: what others have on the server is left alone, be it
// named like ours, and what is left of pods that nobody knows any more goes.
func TestF19_ForeignThings(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{})
	number := filepath.Base(h.Dir)
	harness.IP(t, harness.HostNetwork, "link add podf"+number+" type veth peer name podp"+number)
	t.Cleanup(func() { harness.IP(t, harness.HostNetwork, "link del podf"+number) })
	cgroup := filepath.Join(controllerRoot(), "podstead-foreign-"+number)
	folder := filepath.Join(h.Dir, "elsewhere")
	if err := errors.Join(os.Mkdir(cgroup, 0o755), os.Mkdir(folder, 0o755), unix.Mount("foreign", folder, "tmpfs", 0, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(unix.Unmount(folder, 0), os.Remove(cgroup)); err != nil {
			t.Error(err)
		}
	})
	before := h.Settled()
	s := newSubject(t, h, "left", witness("app"))
	p := s.run("1")
	h.Kill9()
	// Ours, of a pod that is gone.
	uid := "00000000-0000-5000-8000-000000000000"
	mine := filepath.Join(controllerRoot(), h.CgroupRoot, "besteffort", "pod"+uid)
	volume := filepath.Join(h.Dir, "state/volumes", uid, "emptydir")
	if err := errors.Join(os.MkdirAll(mine, 0o755), os.MkdirAll(volume, 0o755), unix.Mount("tmpfs", volume, "tmpfs", 0, "")); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.Eventually(patience, func() error {
		for _, path := range []string{mine, filepath.Dir(volume)} {
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				return fmt.Errorf("%s of a pod that nobody knows is still there (%v)", path, err)
			}
		}
		return nil
	})
	if now := h.WaitRunning(s.key(), patience); containerID(now) != containerID(p) {
		t.Errorf("container %s became %s", containerID(p), containerID(now))
	}
	s.remove()
	nothingLeft(h, before)
	if _, err := os.Stat(cgroup); err != nil {
		t.Errorf("a cgroup of others: %v", err)
	}
}

// controllerRoot is the hierarchy in which pods of this machine are counted.
func controllerRoot() string {
	if unifiedOnly() {
		return "/sys/fs/cgroup"
	}
	return "/sys/fs/cgroup/pids"
}
