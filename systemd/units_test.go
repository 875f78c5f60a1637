package systemd

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var units = []string{"podstead.service", "podstead-containerd.service"}

// unit is a unit file: its values by key, and all of its text.
type unit struct {
	values map[string][]string
	text   string
}

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	u := unit{values: map[string][]string{}, text: string(text)}
	for line := range strings.Lines(u.text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(line, "#") {
			u.values[key] = append(u.values[key], value)
		}
	}
	return u
}

func (u unit) value(key string) string { return strings.Join(u.values[key], " ") }

// TestUnitsHoldTheirPromises: what must be set, and why.
func TestUnitsHoldTheirPromises(t *testing.T) {
	both := map[string]string{
		"Restart":               "always", // whatever ends it, it comes back
		"StartLimitIntervalSec": "0",      // and is never given up
		"RestartSec":            "1",
		"KillMode":              "process", // shims and containers outlive it
		"OOMPolicy":             "continue",
		"OOMScoreAdjust":        "-999", // the last to be killed for memory
		"TasksMax":              "infinity",
	}
	more := map[string]map[string]string{
		"podstead.service": {
			"Type": "notify", "NotifyAccess": "main", "WatchdogSec": "15",
			"Wants":      "podstead-containerd.service podstead-names.service",
			"ExecReload": "/usr/bin/podstead reload --config /etc/podstead/config.yaml", // fails when the reload does
		},
		"podstead-containerd.service": {
			"Type": "exec", // podstead is ordered after it and must not wait for a slow one
		},
	}
	for _, name := range units {
		u := readUnit(t, name)
		for _, want := range []map[string]string{both, more[name]} {
			for key, value := range want {
				if got := u.value(key); got != value {
					t.Errorf("%s: %s=%s, want %s", name, key, got, value)
				}
			}
		}
	}
	// At a shutdown podstead ends, with its pods, before what it needs for that.
	after := strings.Fields(readUnit(t, "podstead.service").value("After"))
	for _, other := range []string{"podstead-containerd.service", "network.target", "local-fs.target", "dbus.service"} {
		if !slices.Contains(after, other) {
			t.Errorf("podstead.service is not After=%s", other)
		}
	}
	if slices.Contains(after, "network-online.target") {
		t.Error("podstead.service waits for the network to be online")
	}
}

// TestMemoryIsKeptForTheUnits: what a unit keeps counts only as far as its
// slice keeps it (systemd.resource-control(5)).
func TestMemoryIsKeptForTheUnits(t *testing.T) {
	mebibytes := func(name string) int {
		value := readUnit(t, name).value("MemoryMin")
		n, err := strconv.Atoi(strings.TrimSuffix(value, "M"))
		if err != nil || !strings.HasSuffix(value, "M") {
			t.Fatalf("%s: MemoryMin=%s, want mebibytes", name, value)
		}
		return n
	}
	sum := 0
	for _, name := range append([]string{"podstead-names.service"}, units...) {
		if slice := readUnit(t, name).value("Slice"); slice != "podstead.slice" {
			t.Errorf("%s is in Slice=%s", name, slice)
		}
		sum += mebibytes(name)
	}
	if all := mebibytes("podstead.slice"); all != sum {
		t.Errorf("podstead.slice keeps %d MiB, its units together %d MiB", all, sum)
	}
}

// mountNamespace makes a private mount namespace (systemd.exec(5)), in which
// neither containerd nor containers see what is mounted outside, nor the host
// what is mounted inside.
var mountNamespace = []string{
	"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "ProtectKernelModules",
	"ProtectKernelTunables", "ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "ProcSubset", "PrivateIPC",
	"ReadOnlyPaths", "ReadWritePaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "TemporaryFileSystem",
	"BindPaths", "BindReadOnlyPaths", "RootDirectory", "RootImage", "MountFlags", "DynamicUser", "MountAPIVFS",
}

// TestUnitsSetNothingThatHurts: what must not be set, and that the file says why
// to whoever would like to.
func TestUnitsSetNothingThatHurts(t *testing.T) {
	never := slices.Concat(mountNamespace, []string{
		"Requires", "BindsTo", "Requisite", "PartOf", // containerd's end must not be podstead's
		"PrivateNetwork", "PrivateUsers", "ProtectHostname", "ProtectClock", "RestrictSUIDSGID", "DevicePolicy", "DeviceAllow",
		"IPAddressDeny", "SocketBindDeny", "Delegate", "RuntimeDirectory", "UMask", "MemoryMax", "RuntimeMaxSec",
	})
	for _, name := range units {
		u := readUnit(t, name)
		for _, key := range never {
			if _, set := u.values[key]; set {
				t.Errorf("%s sets %s", name, key)
			}
		}
	}
	containerd := readUnit(t, "podstead-containerd.service")
	for key := range containerd.values {
		restricts := strings.HasPrefix(key, "Restrict") && !strings.HasPrefix(key, "Restart") || strings.HasPrefix(key, "SystemCall") ||
			slices.Contains([]string{"NoNewPrivileges", "CapabilityBoundingSet", "MemoryDenyWriteExecute", "LockPersonality", "LimitNOFILE"}, key)
		if restricts {
			t.Errorf("podstead-containerd.service sets %s, which containers inherit", key)
		}
	}
	if readUnit(t, "podstead.service").value("SystemCallErrorNumber") != "EPERM" {
		t.Error("podstead is killed by a system call that it may not make, instead of being told so")
	}
}

// TestReasonsOfTheUnits: each of these has its reason in the file.
func TestReasonsOfTheUnits(t *testing.T) {
	reasons := map[string][]string{
		"podstead.service": {"Requires=", "ProtectSystem", "PrivateTmp", "ProtectKernelModules", "PrivateNetwork", "ProtectHostname",
			"ProtectClock", "RestrictSUIDSGID", "DevicePolicy", "Delegate", "RuntimeDirectory"},
		"podstead-containerd.service": {"private mount namespace", "LimitNOFILE", "Delegate", "WatchdogSec"},
	}
	for name, words := range reasons {
		var comments strings.Builder
		for line := range strings.Lines(readUnit(t, name).text) {
			if strings.HasPrefix(line, "#") {
				comments.WriteString(line)
			}
		}
		for _, word := range words {
			if !strings.Contains(comments.String(), word) {
				t.Errorf("%s does not say why there is no %s", name, word)
			}
		}
	}
}

// TestLogindWaitsLongEnough: the drop-in covers the default of
// shutdown.gracePeriod and what comes after it.
func TestLogindWaitsLongEnough(t *testing.T) {
	u := readUnit(t, "logind.conf.d/50-podstead.conf")
	if seconds, err := strconv.Atoi(u.value("InhibitDelayMaxSec")); err != nil || seconds < 70 {
		t.Errorf("InhibitDelayMaxSec=%s, want 70 or more: pods get 60 s by default", u.value("InhibitDelayMaxSec"))
	}
}

// analyze runs systemd-analyze, where there is one.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("there is no systemd-analyze here")
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	return string(out), err
}

// TestUnitsAreValid asks systemd itself: a key that it does not know is ignored
// on servers, with a line in the journal that nobody reads.
func TestUnitsAreValid(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "podstead")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"verify", "--man=no"}
	for _, name := range units {
		text := bytes.ReplaceAll([]byte(readUnit(t, name).text), []byte("/usr/bin/podstead "), []byte(program+" "))
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, err := analyze(t, args...)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, dir) || strings.Contains(line, "podstead") {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
}

// exposure is what systemd-analyze security says at the end, from 0 to 10.
var exposure = regexp.MustCompile(`(?:exposure level for \S+: )([0-9.]+)`)

// TestHardeningOfPodstead: it stays as hard as it was; 6.0 is what is left of
// 9.6 with everything set that volumes, namespaces and networks allow.
func TestHardeningOfPodstead(t *testing.T) {
	out, err := analyze(t, "security", "--offline=yes", "--no-pager", "--threshold=60", "podstead.service")
	level := exposure.FindStringSubmatch(out)
	if level == nil {
		t.Skipf("this systemd-analyze can't look at files: %v\n%s", err, out)
	}
	if err != nil {
		t.Errorf("the exposure is %s, want 6.0 or less\n%s", level[1], out)
	}
}
