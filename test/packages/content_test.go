package packages

import (
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// programs are where the package puts them.
var programs = []string{
	"/usr/bin/podstead", "/usr/libexec/podstead/podstead-logger", "/usr/libexec/podstead/podstead-pause",
	"/usr/libexec/podstead/podstead-names",
	"/usr/libexec/podstead/containerd", "/usr/libexec/podstead/containerd-shim-runc-v2",
}

func TestFilesAreWhereTheyBelong(t *testing.T) {
	dir := unpacked(t)
	for path, mode := range map[string]os.FileMode{
		"/etc/podstead/config.yaml": 0o644, "/etc/podstead/manifests": os.ModeDir | 0o700, "/usr/lib/systemd/system/podstead.service": 0o644, "/usr/lib/systemd/system/podstead.slice": 0o644,
		"/usr/bin/podstead": 0o755, "/usr/libexec/podstead/containerd": 0o755, "/usr/share/doc/podstead/examples/web.yaml": 0o644,
		"/usr/share/doc/podstead/copyright": 0o644, "/usr/share/man/man1/podstead.1.gz": 0o644, "/usr/share/man/man5/podstead-config.5.gz": 0o644,
		"/usr/share/zsh/vendor-completions/_podstead": 0o644, "/usr/share/fish/vendor_completions.d/podstead.fish": 0o644,
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want mode %v", path, info, err, mode)
		}
	}
	if got := read(t, filepath.Join(dir, "DEBIAN/conffiles")); got != "/etc/podstead/config.yaml\n" {
		t.Errorf("conffiles %q, want the configuration", got)
	}
	program := filepath.Join(dir, "usr/bin/podstead")
	version := regexp.MustCompile(`(?m)^Version: (.*)$`).FindStringSubmatch(read(t, filepath.Join(dir, "DEBIAN/control")))[1]
	if out := command(t, program, "version", "--client"); !strings.HasPrefix(out, "Client: "+version+",") {
		t.Errorf("the program of version %s says %s", version, out)
	}
	// Units call programs where they are.
	units, err := filepath.Glob(filepath.Join(dir, "usr/lib/systemd/system/*.service"))
	if err != nil || len(units) == 0 {
		t.Fatal("no unit", err)
	}
	for _, unit := range units {
		for _, exec := range regexp.MustCompile(`(?m)^Exec\w+=[-+!:@]*(\S+podstead\S*)`).FindAllStringSubmatch(read(t, unit), -1) {
			if !slices.Contains(programs, exec[1]) {
				t.Errorf("%s calls %s, which is no program of the package", filepath.Base(unit), exec[1])
			}
		}
	}
	command(t, "bash", "-ec", "source "+filepath.Join(dir, "usr/share/bash-completion/completions/podstead")+"; complete -p podstead")
}

// TestEveryCommandHasAManualPage, which man shows without a warning.
func TestEveryCommandHasAManualPage(t *testing.T) {
	dir := unpacked(t)
	_, list, _ := strings.Cut(command(t, filepath.Join(dir, "usr/bin/podstead"), "--help"), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	pages := []string{"man1/podstead.1.gz", "man5/podstead-config.5.gz"}
	for line := range strings.Lines(list) {
		if name := strings.Fields(line)[0]; name != "help" && name != "completion" {
			pages = append(pages, "man1/podstead-"+name+".1.gz")
		}
	}
	if len(pages) < 15 {
		t.Fatalf("only %d pages: %v", len(pages), pages)
	}
	for _, page := range pages {
		path := filepath.Join(dir, "usr/share/man", page)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("no page: %v", err)
			continue
		}
		cmd := exec.CommandContext(t.Context(), "man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l", path)
		cmd.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8")
		var complaints strings.Builder
		cmd.Stdout, cmd.Stderr = io.Discard, &complaints
		if err := cmd.Run(); err != nil || complaints.Len() > 0 {
			t.Errorf("man %s: %v: %s", page, err, &complaints)
		}
	}
}

// bill is what is read of a bill of materials.
type bill struct {
	Components []struct {
		Type, Name, Version, Purl string
		Hashes                    []struct{ Alg, Content string }
	}
	Dependencies []struct {
		Ref       string
		DependsOn []string
	}
}

// TestBillOfMaterials holds it against the programs.
func TestBillOfMaterials(t *testing.T) {
	dir := unpacked(t)
	text := read(t, filepath.Join(dir, "usr/share/doc/podstead/sbom.cdx.json"))
	if text != read(t, built(t, "cdx.json")) {
		t.Error("the bill in the package is another one than that beside it")
	}
	var b bill
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	hashes, uses := map[string]string{}, map[string][]string{}
	for _, c := range b.Components {
		if c.Type == "application" {
			hashes[c.Name] = c.Hashes[0].Alg + " " + c.Hashes[0].Content
		}
	}
	for _, d := range b.Dependencies {
		uses[d.Ref] = d.DependsOn
	}
	terms := licences(t, filepath.Join(dir, "usr/share/doc/podstead/licences.gz"))
	for _, program := range programs {
		path := filepath.Join(dir, program)
		sum := sha256.Sum256([]byte(read(t, path)))
		if want := "SHA-256 " + hex.EncodeToString(sum[:]); hashes[program] != want {
			t.Errorf("%s has %s, the bill says %s", program, want, hashes[program])
		}
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var modules []string
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path != "github.com/podstead/podstead" && m.Replace == nil {
				modules = append(modules, m.Path+"@"+m.Version)
			}
		}
		for _, m := range append(modules, "std@"+strings.TrimPrefix(info.GoVersion, "go")) {
			if !slices.Contains(uses[program], "pkg:golang/"+m) {
				t.Errorf("%s links %s, of which the bill says nothing", program, m)
			}
			if !strings.Contains(terms, "==== "+m+": ") {
				t.Errorf("the terms of %s are missing", m)
			}
		}
		if want := len(modules) + 1; len(uses[program]) != want {
			t.Errorf("the bill names %d modules of %s, want %d", len(uses[program]), program, want)
		}
	}
}

func licences(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheRPMHoldsTheSameFiles, but where distributions differ.
func TestTheRPMHoldsTheSameFiles(t *testing.T) {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("needs the program rpm")
	}
	dir, path := unpacked(t), built(t, "rpm")
	in := map[string]bool{}
	for line := range strings.Lines(command(t, "rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME}\n]", path)) {
		in[strings.TrimSpace(line)] = true
	}
	for _, want := range []string{
		"/etc/podstead/manifests drwx------ root:root", "/etc/podstead/config.yaml -rw-r--r-- root:root", "/usr/share/zsh/site-functions/_podstead -rw-r--r-- root:root",
	} {
		if !in[want] {
			t.Errorf("the rpm has no %s", want)
		}
	}
	err := filepath.WalkDir(dir, func(file string, d os.DirEntry, err error) error {
		name := strings.TrimPrefix(file, dir)
		switch {
		case err != nil:
			return err
		case name == "/DEBIAN":
			return filepath.SkipDir
		case d.IsDir(), strings.HasPrefix(name, "/usr/share/lintian"), strings.HasSuffix(name, "/changelog.gz"), strings.HasPrefix(name, "/usr/share/zsh"):
			return nil
		}
		info, err := d.Info()
		if want := fmt.Sprintf("%s %s root:root", name, info.Mode()); err == nil && !in[want] {
			t.Errorf("the rpm has no %s", want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := command(t, "rpm", "-qp", "--configfiles", path); got != "/etc/podstead/config.yaml\n" {
		t.Errorf("configuration files %q, want the configuration", got)
	}
	for _, want := range []string{"(runc or crun)\n", "nftables >= 1.0.1\n"} {
		if got := command(t, "rpm", "-qp", "--requires", path); !strings.Contains(got, want) {
			t.Errorf("the rpm requires %q, want %q", got, want)
		}
	}
}
