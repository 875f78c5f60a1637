package policy_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	psa "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/manifest/validation"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fixture is a pod that the Pod Security Standards' own tests expect to pass
// or to fail at a level.
type fixture struct {
	name  string // such as restricted/fail/runasuser0
	level string
	pass  bool
	pod   *corev1.Pod
}

// fixtures reads those of the newest version that the library's module has.
func fixtures(t *testing.T) []fixture {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}} {{.Version}}", "k8s.io/pod-security-admission").Output()
	if err != nil {
		t.Fatalf("find the module of the fixtures: %v", err)
	}
	dir, version, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	// The module's v0.37.x belongs to the standards' v1.37.
	minor := "v1." + strings.Split(version, ".")[1]
	var all []fixture
	for _, level := range []string{"baseline", "restricted"} {
		for _, verdict := range []string{"pass", "fail"} {
			files, _ := filepath.Glob(filepath.Join(dir, "test", "testdata", level, minor, verdict, "*.yaml"))
			if len(files) == 0 {
				t.Fatalf("no fixtures of %s %s %s in %s", level, minor, verdict, dir)
			}
			for _, file := range files {
				name := level + "/" + verdict + "/" + strings.TrimSuffix(filepath.Base(file), ".yaml")
				all = append(all, fixture{name, level, verdict == "pass", readPod(t, file)})
			}
		}
	}
	return all
}

func readPod(t *testing.T, file string) *corev1.Pod {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(data, p); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	// As Kubernetes defaults it before any check.
	for i := range p.Spec.Volumes {
		if source := &p.Spec.Volumes[i].VolumeSource; *source == (corev1.VolumeSource{}) {
			source.EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
	}
	return p
}

func TestEveryFixtureOfTheStandardsGetsTheirVerdict(t *testing.T) {
	for _, f := range fixtures(t) {
		if errs := check(f.pod, policy.Level{PodSecurity: f.level}); (len(errs) == 0) != f.pass {
			t.Errorf("%s: refused with %q", f.name, errs)
		}
		if errs := check(f.pod, policy.Level{PodSecurity: "privileged"}); len(errs) != 0 {
			t.Errorf("%s: privileged refuses %q", f.name, errs)
		}
	}
}

// The golden file holds what a person reads for each fixture that fails.
func TestRefusalsNameTheFields(t *testing.T) {
	var b strings.Builder
	for _, f := range fixtures(t) {
		before := f.pod.DeepCopy()
		for _, e := range check(f.pod, policy.Level{PodSecurity: f.level}) {
			fmt.Fprintf(&b, "%s\n\t%s\n", f.name, e)
			if e.Field == "spec" {
				t.Errorf("%s: no field is named: %s", f.name, e)
			}
		}
		if diff := cmp.Diff(before, f.pod); diff != "" {
			t.Errorf("%s: the check changed the pod:\n%s", f.name, diff)
		}
	}
	golden(t, "testdata/fixtures.golden", b.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// The library's evaluator is the reference for which checks make up a level.
func TestVerdictsAreTheEvaluators(t *testing.T) {
	evaluator, err := psa.NewEvaluator(psa.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures(t) {
		for _, level := range []api.Level{api.LevelBaseline, api.LevelRestricted} {
			results := evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, &f.pod.ObjectMeta, &f.pod.Spec)
			var want []string
			for _, r := range results {
				if !r.Allowed {
					want = append(want, r.ForbiddenReason)
				}
			}
			if diff := cmp.Diff(want, reasons(check(f.pod, policy.Level{PodSecurity: string(level)}))); diff != "" {
				t.Errorf("%s at %s: refused checks (-evaluator +ours):\n%s", f.name, level, diff)
			}
		}
	}
}

// reasons returns the library's reasons, each once, in the order of checks.
func reasons(errs []validation.Error) []string {
	var list []string
	for _, e := range errs {
		_, reason, _ := strings.Cut(strings.TrimSuffix(e.Message, ")"), "(")
		list = append(list, reason)
	}
	return slices.Compact(list)
}

// The standards forgive Windows pods and pods with a user namespace much that
// podstead would run without either.
func TestValidationClosesTheExemptionsOfThePlatform(t *testing.T) {
	exempt := 0
	for _, f := range fixtures(t) {
		plain := f.pod.DeepCopy()
		plain.Spec.OS, plain.Spec.HostUsers = nil, nil
		if !f.pass || len(check(plain, policy.Level{PodSecurity: f.level})) == 0 {
			continue
		}
		exempt++
		refused := slices.ContainsFunc(validation.Pod(f.pod), func(e validation.Error) bool {
			return e.Field == "spec.os.name" || e.Field == "spec.hostUsers"
		})
		if !refused {
			t.Errorf("%s passes by an exemption, and validation accepts it", f.name)
		}
	}
	if exempt == 0 {
		t.Error("no fixture passes by an exemption: the test proves nothing")
	}
}
