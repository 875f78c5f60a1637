// Package layout holds the rooms of the project apart: which package may
// import which is a law of the design, and each ban has its reason.
package layout

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/podstead/podstead/"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// ban forbids packages below one room to import others directly.
type ban struct {
	room   string
	except []string
	never  []string
	reason string
}

var pure = []string{"context", "os", "net", "net/http", "sync", "go.uber.org/zap", "github.com/containerd/containerd"}

var bans = []ban{
	{"agent/plan", nil, pure, "decisions are pure functions of values: waiting, I/O and locks belong to the loop"},
	{"pod", nil, pure, "values have no behaviour that could wait or fail"},
	{"manifest", []string{"manifest/source"}, pure, "what a manifest means depends on its bytes alone, so that check and the daemon agree"},
	{"agent", []string{"agent/plan"}, ours("runtime", "network", "volumes", "cgroups", "probes", "metrics", "api", "manifest"), "the agent declares what it needs; only cmd knows concrete types"},
	{"agent/plan", nil, ours("agent", "runtime", "network", "volumes", "cgroups", "manifest"), "the plan knows values only"},
	{"agent/plan/workload", nil, pure, "decisions are pure functions of values: waiting, I/O and locks belong to the loop"},
	{"agent/plan/workload", nil, ours("agent"), "a workload wants pods; how one is run is decided elsewhere"},
	{"probes", nil, ours("runtime", "agent", "network", "volumes", "cgroups", "manifest", "api", "metrics", "systemd"), "a probe knows nothing of containers or of pods' life"},
	{"runtime", nil, ours("network", "agent", "manifest", "api", "cgroups", "volumes"), "effectors don't know each other"},
	{"network", nil, ours("runtime", "agent", "manifest", "api", "cgroups", "volumes"), "effectors don't know each other"},
	{"volumes", nil, ours("runtime", "agent", "manifest", "api", "cgroups", "network"), "effectors don't know each other"},
	{"cgroups", nil, ours("runtime", "agent", "manifest", "api", "volumes", "network"), "effectors don't know each other"},
	{"metrics", nil, ours("agent", "runtime", "network"), "metrics read the snapshot"},
	{"api", nil, ours("agent", "runtime", "network", "manifest"), "the API reads the snapshot"},
	{"pod", nil, ours("agent", "runtime", "network", "volumes", "cgroups", "manifest", "api", "metrics", "probes", "systemd", "internal"), "everybody imports pod, so pod imports nobody"},
	{"systemd", nil, []string{module}, "it knows nothing of pods"},
	{"cmd", nil, ours("test"), "nothing of the product imports the harness"},
	{"agent", nil, ours("test"), "nothing of the product imports the harness"},
	{"runtime", nil, ours("test"), "nothing of the product imports the harness"},
}

// linked are banned from the daemon altogether, also through others.
var linked = map[string]string{
	"github.com/opencontainers/runc":                       "runc is a program of the host; its library moves with it and is not for others",
	"github.com/opencontainers/cgroups":                    "it is runc's libcontainer under another name",
	"k8s.io/kubernetes":                                    "it is no library",
	"k8s.io/client-go":                                     "there is no API server to be a client of",
	"github.com/google/go-containerregistry":               "it is for tests",
	"github.com/podstead/podstead/test":                    "nothing of the product imports the harness",
	"github.com/podstead/podstead/examples":                "examples are no part of the product",
	"github.com/containerd/containerd/v2/cmd":              "containerd is another process",
	"github.com/miekg/dns":                                 "a process of its own answers pods' questions, which anybody may have written",
	"html/template":                                        "templates call methods by name, so the linker would have to keep every exported one: a fifth of the program",
	"golang.org/x/net/trace":                               "it brings html/template",
	"github.com/containerd/containerd/v2/contrib/apparmor": "it uses text/template",
}

func ours(rooms ...string) []string {
	out := make([]string, len(rooms))
	for i, r := range rooms {
		out[i] = module + r
	}
	return out
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	packages := list(t, "./...")
	for _, b := range bans {
		seen := false
		for _, p := range packages {
			if !below(p.ImportPath, module+b.room) || slices.ContainsFunc(b.except, func(e string) bool { return below(p.ImportPath, module+e) }) {
				continue
			}
			seen = true
			for _, imported := range p.Imports {
				for _, never := range b.never {
					if hits(imported, never) && !below(imported, module+b.room) {
						t.Errorf("%s imports %s: %s", strings.TrimPrefix(p.ImportPath, module), imported, b.reason)
					}
				}
			}
		}
		if !seen && b.room != "metrics" {
			t.Errorf("there is no room %s: this rule guards nothing", b.room)
		}
	}
}

func TestTheDaemonLinksNothingItMustNot(t *testing.T) {
	for _, p := range list(t, "-tags=grpcnotrace", "./cmd/podstead") {
		for _, dep := range p.Deps {
			for never, reason := range linked {
				if below(dep, never) {
					t.Errorf("podstead links %s: %s", dep, reason)
				}
			}
		}
	}
}

func TestTheLoggerIsSmall(t *testing.T) {
	for _, p := range list(t, "./cmd/podstead-logger", "./cmd/podstead-pause") {
		for _, dep := range p.Deps {
			if strings.Contains(dep, ".") && !strings.HasPrefix(dep, module) && !strings.HasPrefix(dep, "golang.org/x/sys") && !strings.HasPrefix(dep, "vendor/") {
				t.Errorf("%s links %s: one runs beside every container, so it uses the standard library alone", p.ImportPath, dep)
			}
		}
	}
}

// TestTheServerOfNamesIsSmall: one more process on every server, which reads
// what pods send.
func TestTheServerOfNamesIsSmall(t *testing.T) {
	for _, p := range list(t, "./cmd/podstead-names") {
		for _, dep := range p.Deps {
			ours := below(dep, module+"network/names/server") || below(dep, module+"network/names/handover")
			host, _, _ := strings.Cut(dep, "/")
			if strings.Contains(host, ".") && !ours && !below(dep, "github.com/miekg/dns") && !strings.HasPrefix(dep, "golang.org/x/") && !strings.HasPrefix(dep, "vendor/") {
				t.Errorf("%s links %s: it needs to know DNS and nothing of pods", p.ImportPath, dep)
			}
		}
	}
}

// hits tells whether an import is banned: a module path bans what is below
// it, a standard package only itself.
func hits(imported, never string) bool {
	if strings.Contains(never, ".") {
		return below(imported, strings.TrimSuffix(never, "/"))
	}
	return imported == never
}

func below(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

func list(t *testing.T, patterns ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, patterns...)...)
	cmd.Dir = "../.."
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, complaint.String())
	}
	var packages []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
