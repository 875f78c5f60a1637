package config

import (
	"flag"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/podstead/podstead/network"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestBadFiles: each file of testdata/bad is refused with just the lines of
// its golden file.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file)
			if err == nil {
				t.Fatal("the file was accepted")
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if err == nil || !strings.Contains(err.Error(), "none.yaml: unreadable: open") {
		t.Errorf("got %v", err)
	}
}

const smallest = "apiVersion: podstead.dev/v1alpha1\nkind: Configuration\n"

func parse(t *testing.T, text string) *Configuration {
	t.Helper()
	c, err := Parse([]byte(smallest+text), "c.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := parse(t, `
nodeName: edge
runDir: /run/two
sources:
- name: files
  directory: {path: /m}
- name: fleet
  url: {url: "https://fleet/pods.yaml"}
`)
	exe := programs()
	want := &Configuration{
		APIVersion: APIVersion, Kind: Kind, NodeName: "edge",
		StateDir: "/var/lib/podstead", RunDir: "/run/two", LogDir: "/var/log/pods", ContainerLogsDir: "/var/log/containers",
		Socket: "/run/two/podstead.sock", ImagesDir: "/var/lib/podstead/images",
		Runtime: Runtime{
			Mode: "own", Address: "/run/two/containerd/containerd.sock", Namespace: "podstead", Runc: "runc",
			Containerd: exe + "/containerd", Logger: exe + "/podstead-logger", Pause: exe + "/podstead-pause", Names: exe + "/podstead-names",
			Root: "/var/lib/podstead/containerd", State: "/run/two/containerd", HostsDir: "/etc/containerd/certs.d",
		},
		Sources: []Source{
			{Name: "files", Directory: &Directory{Path: "/m", Rescan: Duration(20 * time.Second)}, PodSecurity: "privileged"},
			{Name: "fleet", URL: &URL{URL: "https://fleet/pods.yaml", Interval: Duration(20 * time.Second), MaxBytes: 10 << 20}, PodSecurity: "baseline"},
		},
		Restart:    Restart{Base: Duration(10 * time.Second), Max: Duration(5 * time.Minute), Reset: Duration(10 * time.Minute), PerSecond: 4, Burst: 20},
		Logs:       Logs{MaxSize: 10 << 20, MaxFiles: 5},
		CgroupRoot: "/podstead", PidsLimit: 1024, Reserved: Reserved{PIDs: 1000},
		ImageGC:     ImageGC{HighThresholdPercent: 85, LowThresholdPercent: 80, MinimumAge: Duration(2 * time.Minute)},
		Parallelism: Parallelism{Starts: 8, Pulls: 3},
		Network:     Network{PodCIDRs: network.DefaultPodCIDRs(), ServiceCIDRs: network.DefaultServiceCIDRs(network.DefaultPodCIDRs()), Masquerade: true},
		Metrics:     Metrics{Enabled: true, Address: "127.0.0.1:9255"},
		Shutdown:    Shutdown{Inhibitor: true, GracePeriod: Duration(time.Minute), GracePeriodCriticalPods: Duration(10 * time.Second)},
		OnExit:      "keep", Log: Log{Level: "info", Format: "auto"},
	}
	if diff := cmp.Diff(want, c, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// TestCriticalPodsGetAPartOfAShortGracePeriod: whoever shortens the one need not
// know of the other.
func TestCriticalPodsGetAPartOfAShortGracePeriod(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 10 * time.Second, "shutdown: {gracePeriod: 5s}\n": 5 * time.Second, "shutdown: {gracePeriod: 0s}\n": 0,
		"shutdown: {gracePeriodCriticalPods: 0s}\n": 0, "shutdown: {gracePeriod: 2m}\n": 10 * time.Second,
	} {
		if got := time.Duration(parse(t, text).Shutdown.GracePeriodCriticalPods); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// TestProgramsOfEachLayout: built, unpacked into one folder, and packaged beside
// the containerd of a distribution.
func TestProgramsOfEachLayout(t *testing.T) {
	there := map[string]bool{"/src/bin/podstead-logger": true, "/opt/podstead/podstead-logger": true, "/usr/bin/containerd": true}
	for exe, want := range map[string]string{
		"/src/bin/podstead": "/src/bin", "/opt/podstead/podstead": "/opt/podstead", "/opt/empty/podstead": "/opt/empty",
		"/usr/bin/podstead": packagedPrograms, "/usr/local/bin/podstead": "/usr/local/libexec/podstead", "/usr/sbin/podstead": packagedPrograms,
	} {
		if got := programsOf(exe, func(path string) bool { return there[path] }); got != want {
			t.Errorf("%s: got %s, want %s", exe, got, want)
		}
	}
}

func TestExternalModeAsksTheUsualSocket(t *testing.T) {
	c := parse(t, "runtime: {mode: external}\n")
	if got, want := c.Runtime.Address, "/run/containerd/containerd.sock"; got != want {
		t.Errorf("address %s, want %s", got, want)
	}
}

func TestEveryValueArrives(t *testing.T) {
	file := "testdata/full.yaml"
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	// Two sources give a directory and a url between them.
	merged := c.Sources[0]
	merged.URL = c.Sources[1].URL
	c.Sources = []Source{merged}
	for path, v := range leaves(reflect.ValueOf(*c), "") {
		if v.IsZero() {
			t.Errorf("%s is in %s and did not arrive", path, file)
		}
	}
	if got := c.Sources[0].AllowHostPorts; !cmp.Equal(got, []PortRange{{80, 80}, {8000, 8999}}) {
		t.Errorf("ports %v", got)
	}
	if got := c.Reserved.Memory.String(); got != "256Mi" {
		t.Errorf("reserved memory %s", got)
	}
}

// isValue tells structs that a scalar of the file fills.
func isValue(t reflect.Type) bool {
	return t == reflect.TypeFor[PortRange]() || t == reflect.TypeFor[netip.Prefix]()
}

// leaves lists every field that is a value, by path.
func leaves(v reflect.Value, path string) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		field, name := v.Field(i), join(path, v.Type().Field(i).Tag.Get("yaml"))
		switch {
		case field.Kind() == reflect.Pointer:
			field = field.Elem()
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct && !isValue(field.Type().Elem()):
			field, name = field.Index(0), name+"[]"
		}
		if isGroup(field.Type()) {
			maps.Copy(out, leaves(field, name))
			continue
		}
		out[name] = field
	}
	return out
}

func TestReload(t *testing.T) {
	running := parse(t, "nodeName: a\nlog: {level: info}\n")
	wanted := parse(t, `
nodeName: b
log: {level: debug, format: json}
onExit: drain
runtime: {root: /r}
reserved: {cpu: 500m}
sources: [{name: files, directory: {path: /m}}]
`)
	if diff := cmp.Diff([]string{"nodeName", "runtime.root", "reserved.cpu", "log.format"}, NeedRestart(running, wanted)); diff != "" {
		t.Errorf("fields that need a restart (-want +got):\n%s", diff)
	}
	got := WithLive(running, wanted)
	if got.Log.Level != "debug" || got.OnExit != "drain" || len(got.Sources) != 1 {
		t.Errorf("live fields were not taken: %+v", got)
	}
	if got.NodeName != "a" || got.Log.Format != "auto" || got.Runtime.Root == "/r" {
		t.Errorf("fixed fields were taken: %+v", got)
	}
	if running.OnExit != "keep" {
		t.Error("the running configuration was changed")
	}
}

// TestPageNamesEachField: docs/configuration.md has every field by its path.
func TestPageNamesEachField(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.Sources[0].URL = c.Sources[1].URL
	for path := range leaves(reflect.ValueOf(*c), "") {
		if !strings.Contains(string(page), "| `"+path+"` |") {
			t.Errorf("docs/configuration.md has no row for %s", path)
		}
	}
}
