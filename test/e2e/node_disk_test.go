package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/leaks"
)

// recovers is how soon after space returned everything has to go on.
const recovers = 10*time.Second + slack

// fullDisk is a file system of a host that gets full.
type fullDisk struct {
	name string
	// folder is where it is mounted, size its MiB.
	folder string
	size   int
	// inodes lets files run out instead of bytes.
	inodes int
	// apart has the folder inside that lies on another one.
	apart string
	// use is what status calls it; empty for one that podstead does not watch.
	use string
	// waits tells that what is new can't start before there is room.
	waits bool
}

var fullDisks = []fullDisk{
	{name: "Everything", folder: "state", size: 160, use: "images, state", waits: true},
	{name: "State", folder: "state", size: 64, apart: "state/containerd", use: "state", waits: true},
	{name: "StateOutOfInodes", folder: "state", size: 64, inodes: 400, apart: "state/containerd", use: "state", waits: true},
	{name: "Containerd", folder: "state/containerd", size: 128, use: "images", waits: true},
	{name: "ContainerdOutOfInodes", folder: "state/containerd", size: 128, inodes: 400, use: "images", waits: true},
	{name: "Logs", folder: "log", size: 32, use: "logs"},
	{name: "LogsOutOfInodes", folder: "log", size: 32, inodes: 200, use: "logs"},
	{name: "Run", folder: "run", size: 32, use: "run", waits: true},
	{name: "Manifests", folder: "manifests", size: 32},
}

// TestF10_FullDisks fills the file systems that podstead writes to, one at a
// time, with a flood that takes whatever is given back. What runs goes on, what
// is deleted goes, podstead and containerd may be killed meanwhile, and when
// there is room again all is as wanted within seconds.
func TestF10_FullDisks(t *testing.T) {
	for _, d := range fullDisks {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			d.try(t)
		})
	}
}

func (d fullDisk) try(t *testing.T) {
	h := harness.New(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 1m}\n"})
	fs := h.Mount(d.folder, d.size, d.inodes)
	if d.apart != "" {
		h.Mount(d.apart, 160, 0)
	}
	h.AddWitnessImage(image)
	h.Start()
	before := h.Settled()
	steady := newSubject(t, h, "steady", witness("app"))
	goes := newSubject(t, h, "goes", witness("app"))
	stays := newSubject(t, h, "goes-later", witness("app"))
	loops := newSubject(t, h, "loops", witness("app", "-exit-after", "500ms"))
	later := newSubject(t, h, "later", witness("app"))
	for _, s := range []*subject{steady, goes, stays} {
		s.run("1")
	}
	loops.write("1")
	loops.waitLives("app", 2)

	if d.inodes > 0 {
		fs.FillInodes()
	} else {
		fs.Fill()
	}
	if d.use != "" {
		h.Eventually(recovers, func() error { return underPressure(h, d.use) })
		later.write("1")
	}
	switch {
	case d.waits:
		told(h, []string{"no space left on device"}, "describe", "pod", later.Name)
	case d.use != "":
		later.waitLives("app", 1)
		loops.waitLives("app", len(loops.lives("app"))+2)
	}
	goes.remove()
	h.Kill9()
	h.SignalContainerd(syscall.SIGKILL)
	h.StartWithoutWaiting()
	h.WaitReady(patience)
	stays.remove()

	fs.Empty()
	if d.use == "" {
		later.write("1")
	}
	h.Eventually(recovers, func() error {
		if len(later.lives("app")) == 0 {
			return errors.New("there is room, and what was wanted meanwhile does not run")
		}
		return nil
	})
	seen := len(loops.lives("app"))
	loops.waitLives("app", seen+2)
	h.Eventually(recovers, func() error {
		if err := underPressure(h, d.use); d.use != "" && err == nil {
			return errors.New("there is room, and the node is under pressure still")
		}
		return nil
	})
	if n := len(steady.lives("app")); n != 1 {
		t.Errorf("the pod that nobody touched had %d runs", n)
	}
	for _, s := range []*subject{steady, later, loops} {
		s.remove()
	}
	for _, pattern := range []string{"state/*.corrupt*", "state/*/*.corrupt*", "run/*.corrupt*"} {
		if damaged, err := filepath.Glob(filepath.Join(h.Dir, pattern)); err != nil || len(damaged) > 0 {
			t.Errorf("damaged: %v, %v", damaged, err)
		}
	}
	h.Eventually(patience, func() error {
		// Hosts of other tests share links, shim sockets and processes.
		left := slices.DeleteFunc(leaks.Diff(before, h.Leaks()), func(line string) bool {
			sign, what, _ := strings.Cut(line, " ")
			kind, _, _ := strings.Cut(what, ":")
			// What is not there any more was left by nobody: containerd mounts an
			// image for a moment to look into it.
			return sign != "+" || !slices.Contains([]string{"container", "task", "snapshot", "sandbox", "cgroup", "mount", "file"}, kind) ||
				kind == "mount" && !strings.Contains(line, h.Dir+"/")
		})
		if len(left) > 0 {
			return fmt.Errorf("left behind: %v", left)
		}
		return nil
	})
}

// underPressure tells why a file system is not known to be short of room.
func underPressure(h *harness.Host, use string) error {
	n, err := h.Node()
	if err != nil {
		return err
	}
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeDiskPressure {
			continue
		}
		if c.Status == corev1.ConditionTrue && strings.Contains(c.Message, "the file system of "+use+" (") {
			return nil
		}
		return fmt.Errorf("%s: %s", c.Status, c.Message)
	}
	return errors.New("the node has no such condition")
}
