package packages

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/mounts"
	"github.com/podstead/podstead/test/images"
	"github.com/podstead/podstead/test/record"
)

const (
	image = "example.org/witness:1"
	diary = "/srv/witness"
)

// manifest is a pod that takes two seconds to end and writes down what happens
// to it.
const manifest = `apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 60
  containers:
  - name: app
    image: ` + image + `
    args: [-term-delay, 2s]
    ports: [{containerPort: 80, hostPort: 18991}]
    env:
    - {name: WITNESS_DIR, value: /w}
    - {name: WITNESS_ID, value: web}
    volumeMounts: [{name: w, mountPath: /w}, {name: scratch, mountPath: /s}]
  volumes:
  - {name: w, hostPath: {path: ` + diary + `, type: Directory}}
  - {name: scratch, emptyDir: {}}
`

// TestPodsLiveThroughEveryStep follows a pod through an upgrade, a downgrade, a
// removal and a second installation, which must not restart it, to the purge,
// which must end it with its grace and leave nothing.
func TestPodsLiveThroughEveryStep(t *testing.T) {
	older, newer := another(t, "0.0.1", nil), another(t, "99.0.0", func(dir string) {
		differ(t, filepath.Join(dir, "usr/libexec/podstead/containerd"))
		differ(t, filepath.Join(dir, "usr/libexec/podstead/containerd-shim-runc-v2"))
	})
	m := newMachine(t)
	before, networkBefore := m.files(), network(t)

	out := m.install(older)
	if strings.Contains(out, "error") {
		t.Errorf("the installation: %s", out)
	}
	m.do("podstead", "check", "--config", "/etc/podstead/config.yaml")
	m.prepare()
	m.start()
	m.do("cp", "/tmp/web.yaml", "/etc/podstead/manifests/")
	m.eventually(m.running)
	id := m.container()

	for _, step := range []struct{ name, deb string }{{"upgrade", newer}, {"downgrade", older}} {
		m.install(step.deb)
		m.stop()
		m.start()
		m.same(step.name, id)
	}
	if config := read(t, m.path("/etc/podstead/config.yaml")); !strings.Contains(config, m.cgroup) {
		t.Error("the configuration of the administrator was replaced")
	}

	m.stop()
	m.do("dpkg", "--remove", "podstead")
	if m.exists("/usr/bin/podstead") || m.exists("/usr/libexec/podstead") {
		t.Error("the programs are still there after the removal")
	}
	m.install(newer)
	if m.exists("/var/lib/podstead-removed") {
		t.Error("what was kept for a purge stays after the installation")
	}
	m.start()
	m.same("removal and installation", id)

	m.stop()
	m.do("dpkg", "--remove", "podstead")
	if events := m.events(); !slices.Equal(events, []string{record.Start}) {
		t.Errorf("until the purge the pod saw %v, want its start alone", events)
	}
	if out := m.do("dpkg", "--purge", "podstead"); !strings.Contains(out, "pod default/web stopped\n") {
		t.Errorf("the purge does not say that the pod was stopped: %s", out)
	}
	if events := m.events(); !slices.Equal(events, []string{record.Start, record.Term, record.Exit}) {
		t.Errorf("after the purge the pod saw %v, want its start, a signal and its own end", events)
	}
	m.nothingLeft(before, networkBefore)
}

// differ makes a program another one that does the same.
func differ(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("another version"); err != nil {
		t.Fatal(err)
	}
}

// prepare makes what a test must have of its own: cgroups, an image, a pod.
func (m *machine) prepare() {
	m.t.Helper()
	config := m.path("/etc/podstead/config.yaml")
	write(m.t, config, read(m.t, config)+"cgroupRoot: "+m.cgroup+"\n")
	img, err := images.FromGo(m.t.Context(), images.WitnessPackage, images.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, dir := range []string{"/var/lib/podstead/images", diary} {
		if err := os.MkdirAll(m.path(dir), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := images.WriteDocker(m.path("/var/lib/podstead/images/witness.tar"), map[string]v1.Image{image: img}); err != nil {
		m.t.Fatal(err)
	}
	write(m.t, m.path("/tmp/web.yaml"), manifest)
}

func (m *machine) running() error {
	if out, err := m.try("podstead", "get", "pods", "--no-headers"); err != nil || !strings.Contains(out, "1/1") {
		why, _ := m.try("podstead", "describe", "pod", "web")
		return fmt.Errorf("the pod does not run (%v): %s%s", err, out, why)
	}
	return nil
}

func (m *machine) container() string {
	m.t.Helper()
	for line := range strings.Lines(m.do("podstead", "describe", "pod", "web")) {
		if _, id, ok := strings.Cut(line, "Container ID:"); ok {
			return strings.TrimSpace(id)
		}
	}
	m.t.Fatal("the pod has no container")
	return ""
}

// same fails the test when the pod is not the one that it was.
func (m *machine) same(after, id string) {
	m.t.Helper()
	m.eventually(m.running)
	if now := m.container(); now != id {
		m.t.Errorf("after %s the container is %s, want %s", after, now, id)
	}
}

// events are what the pod wrote down.
func (m *machine) events() []string {
	m.t.Helper()
	list, err := record.Load[record.Witness](record.Path(m.path(diary), "web"))
	if err != nil {
		m.t.Fatal(err)
	}
	var events []string
	for _, e := range list {
		events = append(events, e.Event)
	}
	return events
}

// network are the links and rules of the host.
func network(t *testing.T) string {
	t.Helper()
	return command(t, "ip", "-brief", "link") + command(t, "nft", "list", "ruleset")
}

// nothingLeft compares the machine with what it was before the installation.
func (m *machine) nothingLeft(before map[string]bool, networkBefore string) {
	m.t.Helper()
	after := m.files()
	for _, name := range slices.Sorted(maps.Keys(after)) {
		_, path, _ := strings.Cut(name, " ")
		if before[name] || expected(path) {
			continue
		}
		m.t.Errorf("left: %s", name)
	}
	if now := network(m.t); now != networkBefore {
		m.t.Errorf("links and rules were\n%s\nand are\n%s", networkBefore, now)
	}
	for _, dir := range m.cgroups() {
		m.t.Errorf("left: %s", dir)
	}
	for _, pid := range m.processes() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		m.t.Errorf("left: process %d: %q", pid, text)
	}
	points, err := mounts.Below(m.root)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, p := range points {
		if strings.Contains(strings.TrimPrefix(p, m.root), "podstead") || strings.Contains(p, "netns") {
			m.t.Errorf("left: mount %s", p)
		}
	}
}

// expected tells of what others leave: dpkg, deb-systemd-helper and man-db, the
// data of the pod on the host, and folders that these are in.
func expected(path string) bool {
	for _, others := range []string{diary, "/var/log/dpkg.log", "/var/cache/man", "/var/lib/systemd/deb-systemd-helper-", "/var/lib/dpkg", "/etc/ld.so.cache", "/var/cache/ldconfig"} {
		if path == others || strings.HasPrefix(path, others) || strings.HasPrefix(others, path+"/") {
			return true
		}
	}
	// A folder in which something was and is not any more.
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// TestPurgeOfAPodThatCanNotBeStoppedCanBeRepeated: a purge that fails loses
// nothing that the next one needs.
func TestPurgeBesideARunningPodsteadIsRefusedAndCanBeRepeated(t *testing.T) {
	m := newMachine(t)
	m.install(built(t, "deb"))
	m.prepare()
	m.start()
	m.do("cp", "/tmp/web.yaml", "/etc/podstead/manifests/")
	m.eventually(m.running)
	out, err := m.try("dpkg", "--purge", "podstead")
	if _, failed := err.(*exec.ExitError); !failed || !strings.Contains(out, "another podstead works on /var/lib/podstead") {
		t.Errorf("purge beside a running podstead: %v: %s", err, out)
	}
	if events := m.events(); !slices.Equal(events, []string{record.Start}) {
		t.Errorf("the pod saw %v, want its start alone", events)
	}
	if err := m.daemon.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = m.daemon.Wait()
	m.do("dpkg", "--purge", "podstead")
	if left := m.processes(); len(left) > 0 || m.exists("/var/lib/podstead") || m.exists("/var/lib/podstead-removed") || m.exists("/etc/podstead") {
		t.Errorf("the second purge leaves processes %v or files", left)
	}
}

// TestConfigurationThatWasLostHindersNoPurge: the defaults are the best guess.
func TestConfigurationThatWasLostHindersNoPurge(t *testing.T) {
	m := newMachine(t)
	m.install(built(t, "deb"))
	if err := os.MkdirAll(m.path("/var/lib/podstead/sources"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(m.path("/etc/podstead/config.yaml")); err != nil {
		t.Fatal(err)
	}
	m.do("dpkg", "--purge", "podstead")
	if m.exists("/var/lib/podstead") || m.exists("/etc/podstead") {
		t.Error("the purge left podstead's files")
	}
}
