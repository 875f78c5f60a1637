package harness

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/podstead/podstead/internal/filelock"
	"github.com/podstead/podstead/test/leaks"
)

func TestMain(m *testing.M) { Main(m) }

func TestTheNamespacesAreOurOwn(t *testing.T) {
	links, err := netlink.LinkList()
	if err != nil || len(links) == 0 || links[0].Attrs().Name != "lo" || links[0].Attrs().RawFlags&syscall.IFF_UP == 0 {
		t.Errorf("links %v, %v, want loopback, and it up", links, err)
	}
	if os.Getppid() != 1 {
		t.Errorf("my parent is %d, want the init process", os.Getppid())
	}
	all, err := leaks.Processes()
	if err != nil || len(all) > 5 {
		t.Errorf("%d processes are seen, %v, want our own only", len(all), err)
	}
	if entries, err := os.ReadDir("/run/containerd"); err != nil || len(entries) > 0 {
		t.Errorf("/run/containerd has %d entries, %v, want none", len(entries), err)
	}
}

func TestOrphansAreBuried(t *testing.T) {
	out, err := exec.Command("sh", "-c", "sleep 0.1 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	if err := poll(10*time.Second, func() error {
		if err := syscall.Kill(pid, 0); err == nil {
			return errors.New("the orphan is still there")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestLeftoversOfAKilledRunAreRemoved(t *testing.T) {
	if err := os.MkdirAll(baseDir, 0o755); err != nil {
		t.Fatal(err)
	}
	dead, used := makeLeftover(t), makeLeftover(t)
	unlock, err := filelock.Take(filepath.Join(used, lockName), syscall.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := removeLeftovers(); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, dead); len(left) > 0 {
		t.Errorf("left of a dead run: %v", left)
	}
	if left := traces(t, used); len(left) < 2 {
		t.Errorf("only %v is left of a run that is going on", left)
	}
}

// makeLeftover makes what a killed run leaves: a folder and cgroups.
func makeLeftover(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(baseDir, "h") //nolint:usetesting // leftovers are looked for there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir); removeCgroups(layout(dir).CgroupRoot) })
	if err := os.WriteFile(filepath.Join(dir, lockName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	hierarchies, err := leaks.Hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(hierarchies[0], layout(dir).CgroupRoot, "besteffort", "pod1"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// traces returns what there is of a host.
func traces(t *testing.T, dir string) []string {
	t.Helper()
	hierarchies, err := leaks.Hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range []string{dir, filepath.Join(hierarchies[0], layout(dir).CgroupRoot)} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			found = append(found, path)
		}
	}
	return found
}
