package harness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/internal/filelock"
	"github.com/podstead/podstead/test/leaks"
	"github.com/podstead/podstead/test/record"
)

// baseDir holds the folders of hosts. Its name is short, for the paths of
// sockets have at most 107 bytes.
const baseDir = "/tmp/podstead-test"

// maxNumber is the highest number of a host: it is part of an address.
const maxNumber = 255

// Host is a server of its own for one test: a folder with everything that
// podstead and containerd keep, and a cgroup. When the test ends, all of it is
// removed, whatever state it is in. It is used by one goroutine.
type Host struct {
	t      testing.TB
	o      Options
	daemon *daemon
	units  []*unit // those that run

	// Dir is the private folder; the others lie in it.
	Dir string
	// Manifests is the directory of the source "files".
	Manifests string
	// Images is watched for archives.
	Images string
	// Logs is in the place of /var/log/pods, Links of /var/log/containers.
	Logs, Links string
	// Hosts is the folder of hosts.toml files.
	Hosts string
	// Data is for hostPath volumes; Witness is where witnesses write.
	Data, Witness string
	// Socket serves podstead's API, Containerd is containerd's.
	Socket, Containerd string
	// CgroupRoot is unique to this host.
	CgroupRoot string
	// Bin holds the programs.
	Bin string
	// PodCIDRs are the ranges of its pods' addresses, which no other host on
	// this machine has.
	PodCIDRs []string
	// ServiceCIDRs are those of its Services' addresses.
	ServiceCIDRs []string
}

// Options change how a Host is configured.
type Options struct {
	// Config is YAML of further keys at the top level of the configuration;
	// "sources" replaces the source "files". {DIR} stands for the host's Dir.
	Config string
	// Env is added to podstead's environment. The system bus is nowhere unless
	// DBUS_SYSTEM_BUS_ADDRESS is in it.
	Env []string
	// Unit is the file podstead.service, for AsUnit.
	Unit string
}

// New makes a host; nothing runs on it until Start.
func New(t testing.TB, o Options) *Host {
	t.Helper()
	requireInside(t)
	bin, err := Binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir, unlock, err := makeDir()
	if err != nil {
		t.Fatal(err)
	}
	h := layout(dir)
	h.t, h.o, h.Bin = t, o, bin
	t.Cleanup(func() {
		h.cleanUp()
		unlock()
	})
	for _, d := range []string{h.Manifests, h.Images, h.Logs, h.Links, h.Hosts, h.Data, h.Witness} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Witnesses may run as any user.
	if err := os.Chmod(h.Witness, 0o1777); err != nil {
		t.Fatal(err)
	}
	return h
}

// makeDir makes the locked folder of a host, after it removed those of hosts
// that are dead. Hosts of other tests do so one at a time: a folder that is
// not locked yet looks like one of the dead.
func makeDir() (dir string, unlock func(), err error) {
	if err := os.MkdirAll(baseDir, 0o755); err != nil {
		return "", nil, err
	}
	next, err := filelock.Take(filepath.Join(baseDir, "making.lock"), syscall.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	defer next()
	if err := removeLeftovers(); err != nil {
		return "", nil, fmt.Errorf("remove what an earlier run left: %w", err)
	}
	for number := 0; dir == "" && number <= maxNumber; number++ {
		name := filepath.Join(baseDir, fmt.Sprintf("h%d", number))
		if err := os.Mkdir(name, 0o700); err == nil {
			dir = name
		} else if !errors.Is(err, fs.ErrExist) {
			return "", nil, err
		}
	}
	if dir == "" {
		return "", nil, fmt.Errorf("%d hosts are alive already", maxNumber+1)
	}
	unlock, err = filelock.Take(filepath.Join(dir, lockName), syscall.LOCK_EX|syscall.LOCK_NB)
	return dir, unlock, err
}

// For returns the same host as seen by a subtest: what fails, fails that one.
// Only the host's own test starts and ends podstead.
func (h *Host) For(t testing.TB) *Host {
	of := *h
	of.t = t
	return &of
}

// layout names everything that belongs to the host of a folder.
func layout(dir string) *Host {
	in := func(name string) string { return filepath.Join(dir, name) }
	number := strings.TrimPrefix(filepath.Base(dir), "h")
	return &Host{
		PodCIDRs:     []string{"10.117." + number + ".0/24", "fd5b:3c1e:9a27:" + number + "::/64"},
		ServiceCIDRs: []string{"10.118." + number + ".0/24", "fd5b:3c1e:9a27:f" + number + "::/112"},
		Dir:          dir, Manifests: in("manifests"), Images: in("images"), Logs: in("log/pods"), Links: in("log/containers"),
		Hosts: in("hosts"), Data: in("data"), Witness: in("witness"),
		Socket: in("run/podstead.sock"), Containerd: in("run/containerd/containerd.sock"),
		CgroupRoot: "/podstead-test-" + filepath.Base(dir),
	}
}

// config is the configuration file.
func (h *Host) config() string {
	text := fmt.Sprintf(`apiVersion: podstead.dev/v1alpha1
kind: Configuration
nodeName: testhost
stateDir: %[1]s/state
runDir: %[1]s/run
logDir: %[2]s
containerLogsDir: %[3]s
imagesDir: %[4]s
cgroupRoot: %[5]s
`, h.Dir, h.Logs, h.Links, h.Images, h.CgroupRoot)
	var more strings.Builder
	for key, value := range map[string]string{
		"runtime": fmt.Sprintf("{containerd: %[1]s/containerd, logger: %[1]s/podstead-logger, pause: %[1]s/podstead-pause, names: %[1]s/podstead-names, hostsDir: %[2]s}", h.Bin, h.Hosts),
		"sources": fmt.Sprintf("[{name: files, directory: {path: %s}}]", h.Manifests),
		"log":     "{level: debug, format: console}",
		"metrics": "{enabled: false}",
		"network": fmt.Sprintf("{podCIDRs: [%q, %q], serviceCIDRs: [%q, %q]}", h.PodCIDRs[0], h.PodCIDRs[1], h.ServiceCIDRs[0], h.ServiceCIDRs[1]),
	} {
		if !hasKey(h.o.Config, key) {
			fmt.Fprintf(&more, "%s: %s\n", key, value)
		}
	}
	return text + more.String() + strings.ReplaceAll(h.o.Config, "{DIR}", h.Dir)
}

// Leaks takes a snapshot of everything that pods may leave behind on this
// host, logs of containers included.
func (h *Host) Leaks() leaks.Snapshot {
	h.t.Helper()
	s, err := h.leaks()
	if err != nil {
		h.t.Fatalf("look for leaks: %v", err)
	}
	return s
}

func (h *Host) leaks() (leaks.Snapshot, error) {
	return leaks.Take(h.t.Context(), leaks.Config{
		CgroupRoot: h.CgroupRoot, Files: []string{h.Logs, h.Links, filepath.Join(h.Dir, "state", "pods")},
		Ours: h.Dir, Containerd: h.Containerd, Namespace: "podstead",
	})
}

// Settled waits until the images of the host are imported, during which
// containerd holds leases, and names are served, and returns what there is.
func (h *Host) Settled() leaks.Snapshot {
	h.t.Helper()
	var found leaks.Snapshot
	h.Eventually(time.Minute, func() error {
		if found = h.Leaks(); len(found["lease"]) > 0 {
			return fmt.Errorf("leases are held: %v", found["lease"])
		}
		if !slices.Contains(found["process"], "podstead-names") {
			return fmt.Errorf("there is no server of names among %v", found["process"])
		}
		return nil
	})
	return found
}

// NoLeaks waits until nothing differs from an earlier snapshot and fails the
// test, with every difference, when that does not come. A look that fails, as
// on a busy machine, is repeated.
func (h *Host) NoLeaks(before leaks.Snapshot, within time.Duration) {
	h.t.Helper()
	var diff []string
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		now, err := h.leaks()
		if err != nil {
			diff = []string{"unknown: " + err.Error()}
		} else if diff = slices.DeleteFunc(leaks.Diff(before, now), h.foreign); len(diff) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	for _, line := range diff {
		h.t.Error("left behind: ", line)
	}
}

// foreign tells of a difference that others on the machine make: the links and
// tables of other hosts come and go, and when they remove the folder below a
// mount of theirs, it vanishes from every namespace. A mount that containerd
// made for a moment may be in the first look.
func (h *Host) foreign(line string) bool {
	change, what, _ := strings.Cut(line, ": ")
	switch change[2:] {
	case "mount":
		return change[0] == '-' && (!strings.Contains(what, h.Dir+"/") || strings.Contains(what, "/tmpmounts/"))
	case "shim socket":
		return change[0] == '-' // of a host that ended meanwhile
	case "nft":
		return strings.HasPrefix(what, "table inet podstead-") && !strings.HasPrefix(what, h.table()+":")
	case "link":
		return h.elsewhere(what)
	case "process":
		// When the first look was taken one had not been buried yet, or a child
		// had not yet become another program.
		return change[0] == '-' && (strings.HasPrefix(what, "zombie ") || what == "podstead")
	}
	return false
}

// table is the nftables table of this host.
func (h *Host) table() string {
	return fmt.Sprintf("table inet podstead-%x", sha256.Sum256([]byte(filepath.Join(h.Dir, "run"))))[:len("table inet podstead-")+8]
}

// elsewhere tells whether a link has only addresses of other hosts.
func (h *Host) elsewhere(link string) bool {
	addresses := strings.Fields(link)[2:]
	for _, cidr := range h.PodCIDRs {
		mine := netip.MustParsePrefix(cidr)
		if slices.ContainsFunc(addresses, func(a string) bool { return mine.Contains(netip.MustParseAddr(a)) }) {
			return false
		}
	}
	return len(addresses) > 0
}

// Eventually waits for a condition. A condition that does not hold says why.
func (h *Host) Eventually(within time.Duration, condition func() error) {
	h.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("not within %s: %v", within, err)
		}
	}
}

// Fault writes down, for the checker, that something was done on purpose from
// a moment until now. target is a witness's ID, or empty.
func (h *Host) Fault(kind, target string, from record.Moment) {
	h.t.Helper()
	f := record.Fault{From: from, To: record.Now(), Kind: kind, Target: target}
	if err := record.Append(h.faultLog(), f); err != nil {
		h.t.Fatal(err)
	}
}

func (h *Host) faultLog() string    { return filepath.Join(h.Dir, "faults.jsonl") }
func (h *Host) manifestLog() string { return filepath.Join(h.Dir, "manifests.jsonl") }
