package packages

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stub is a systemctl that writes down what it is told. Units can be enabled by
// it; /run/containerd-pid names the process of podstead's containerd, /run/names-pid
// that of the server of names.
const stub = `#!/bin/sh
echo "$*" >>/run/told
case "$*" in
*--property=MainPID*podstead-names*) cat /run/names-pid 2>/dev/null || echo 0 ;;
*--property=MainPID*) cat /run/containerd-pid 2>/dev/null || echo 0 ;;
*is-active*podstead-containerd*) test -e /run/containerd-pid; exit ;;
*is-active*) exit 3 ;;
*preset*|*is-enabled*|*disable*) SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real "$@" ;;
esac
`

// underStub is a machine on which scripts find a systemd.
func underStub(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	if err := os.MkdirAll(m.path("/run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, m.path("/tmp/systemctl"), stub)
	if !m.exists("/usr/bin/systemctl") {
		t.Skip("needs the program systemctl, which enables units without a systemd that runs")
	}
	m.do("rm", "-f", "/usr/sbin/policy-rc.d") // of containers, where nothing starts
	m.do("mv", "/usr/bin/systemctl", "/usr/bin/systemctl.real")
	m.do("install", "-m", "755", "/tmp/systemctl", "/usr/bin/systemctl")
	return m
}

// told returns what systemctl was told to do since the last call: verbs that
// change something, with their units.
func (m *machine) told() []string {
	m.t.Helper()
	defer func() { _ = os.Remove(m.path("/run/told")) }()
	text, err := os.ReadFile(m.path("/run/told"))
	if err != nil {
		return nil
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		var words []string
		for _, w := range strings.Fields(line) {
			if !strings.HasPrefix(w, "-") {
				words = append(words, strings.TrimSuffix(w, ".service"))
			}
		}
		if slices.Contains([]string{"start", "stop", "restart", "try-restart", "disable", "daemon-reload"}, words[0]) {
			list = append(list, strings.Join(words, " "))
		}
	}
	return list
}

func (m *machine) wants(after string, want ...string) {
	m.t.Helper()
	if got := m.told(); !slices.Equal(got, want) {
		m.t.Errorf("%s told systemd %q, want %q", after, got, want)
	}
}

func TestServiceIsStartedRestartedAndStopped(t *testing.T) {
	first := another(t, "1", nil)
	same := another(t, "2", nil)
	differs := another(t, "3", func(dir string) { differ(t, filepath.Join(dir, "usr/libexec/podstead/containerd")) })
	m := underStub(t)
	wanted := "/etc/systemd/system/multi-user.target.wants/podstead.service"

	m.install(first)
	m.wants("the installation", "daemon-reload", "start podstead")
	if !m.exists(wanted) {
		t.Error("the installation did not enable podstead")
	}
	m.runContainerd()
	m.install(same)
	m.wants("an upgrade with the same containerd", "daemon-reload", "restart podstead")
	m.install(differs)
	m.wants("an upgrade with another containerd", "daemon-reload", "restart podstead-containerd", "restart podstead")
	m.install(same)
	m.wants("a downgrade to the containerd that still runs", "daemon-reload", "restart podstead")

	if err := os.Remove(m.path(wanted)); err != nil {
		t.Fatal(err)
	}
	m.install(differs)
	if m.exists(wanted) {
		t.Error("an upgrade enabled what the administrator had disabled")
	}
	m.told()
	m.do("dpkg", "--remove", "podstead")
	m.wants("the removal", "stop podstead podstead-containerd podstead-names", "daemon-reload")
	m.do("dpkg", "--purge", "podstead")
	m.wants("the purge", "stop podstead.slice")
}

// runContainerd runs the containerd that is installed, for whom looks at the
// program of its process.
func (m *machine) runContainerd() {
	m.t.Helper()
	cmd := m.command(context.WithoutCancel(m.t.Context()), "sh", "-c",
		"echo $$ >/run/containerd-pid; exec /usr/libexec/podstead/containerd --root /tmp/root --state /tmp/state --address /tmp/containerd.sock >/dev/null 2>&1")
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	m.eventually(func() error {
		_, err := os.Stat(m.path("/tmp/containerd.sock"))
		return err
	})
}

// TestScriptsOfTheRPM runs what rpm would run, with the counts that it gives.
func TestScriptsOfTheRPM(t *testing.T) {
	m := underStub(t)
	m.install(another(t, "1", nil))
	m.told()
	for _, script := range []string{"post", "preun", "postun"} {
		write(t, m.path("/tmp/rpm/"+script), read(t, filepath.Join(root, "packaging/rpm", script)))
	}
	wanted := m.path("/etc/systemd/system/multi-user.target.wants/podstead.service")
	if err := os.Remove(wanted); err != nil {
		t.Fatal(err)
	}
	run := func(script, count string) string {
		t.Helper()
		return m.do("sh", "-e", "/tmp/rpm/"+script, count)
	}
	if out := run("post", "1"); !strings.Contains(out, "systemctl enable --now podstead") {
		t.Errorf("the installation does not say how podstead is started: %s", out)
	}
	m.wants("the installation", "daemon-reload")
	if _, err := os.Lstat(wanted); err != nil { // this distribution's presets enable
		t.Errorf("the presets were not applied: %v", err)
	}
	m.runContainerd()
	run("post", "2")
	m.wants("an upgrade with the same containerd", "daemon-reload", "try-restart podstead")
	// A file that is replaced, as rpm does it: one that runs can't be written.
	installed := "/usr/libexec/podstead/containerd"
	m.do("cp", installed, installed+".new")
	differ(t, m.path(installed+".new"))
	m.do("mv", installed+".new", installed)
	run("post", "2")
	m.wants("an upgrade with another containerd", "daemon-reload", "try-restart podstead-containerd", "try-restart podstead")
	run("preun", "1")
	run("postun", "1")
	m.wants("the end of an upgrade")
	run("preun", "0")
	run("postun", "0")
	m.wants("the removal", "disable podstead", "stop podstead-containerd podstead-names", "stop podstead.slice", "daemon-reload")

	// Without systemd nothing is asked and nothing fails.
	if err := os.RemoveAll(m.path("/run/systemd")); err != nil {
		t.Fatal(err)
	}
	run("post", "2")
	run("postun", "0")
	m.wants("a machine without systemd")
	run("preun", "0")
	m.wants("the removal without systemd", "disable podstead")
	if _, err := os.Lstat(wanted); err == nil {
		t.Error("podstead is still enabled")
	}
}
