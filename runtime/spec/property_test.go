package spec_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

// text is made of what matters to expansion.
var text = rapid.StringOfN(rapid.SampledFrom([]rune("$()AB x")), 0, 24, -1)

func drawInput(t *rapid.T) spec.Input {
	p := webPod()
	s, c := &p.Spec, app(p)
	s.HostNetwork, s.HostPID, s.HostIPC = rapid.Bool().Draw(t, "net"), rapid.Bool().Draw(t, "pid"), rapid.Bool().Draw(t, "ipc")
	c.Command = rapid.SliceOfN(text, 0, 3).Draw(t, "command")
	c.Args = rapid.SliceOfN(text, 0, 3).Draw(t, "args")
	c.TTY = rapid.Bool().Draw(t, "tty")
	for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"A", "B", "AA", "PATH"}), 0, 5).Draw(t, "names") {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: text.Draw(t, "value")})
	}
	capability := rapid.SampledFrom([]corev1.Capability{"ALL", "CHOWN", "net_admin", "CAP_SYS_ADMIN", "NET_RAW"})
	security(p).Capabilities = &corev1.Capabilities{
		Add:  rapid.SliceOfN(capability, 0, 3).Draw(t, "add"),
		Drop: rapid.SliceOfN(capability, 0, 3).Draw(t, "drop"),
	}
	security(p).Privileged = rapid.SampledFrom([]*bool{nil, new(false), new(true)}).Draw(t, "privileged")
	in := input(p)
	for _, target := range rapid.SliceOfN(rapid.SampledFrom([]string{"/a", "/a/b", "/a/b/c", "/dev/shm", "/sys", "/etc/x"}), 0, 4).Draw(t, "mounts") {
		in.Request.Mounts = append(in.Request.Mounts, pod.Mount{Source: "/v", Target: target, Propagation: "private"})
	}
	in.Image = ocispec.ImageConfig{
		Entrypoint: []string{"/entry"}, Env: []string{"A=1", "Z=2"},
		User:   rapid.SampledFrom([]string{"", "app", "1000:adm", "7"}).Draw(t, "user"),
		Labels: map[string]string{"containerd.io/restart.status": "running", "io.containerd.runc.v2.group": "other"},
	}
	in.Host.CgroupV2 = rapid.Bool().Draw(t, "cgroup2")
	return in
}

// built skips what is refused, such as an empty command.
func built(t *rapid.T, in spec.Input) *specs.Spec {
	s, err := spec.Build(in)
	if err != nil {
		t.Skip(err)
	}
	return s
}

func TestBuildIsDeterministicAndLeavesItsInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		before, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		first, again := built(t, in), built(t, in)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("two specs of one input:\n%s", diff)
		}
		after, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(before), string(after)); diff != "" {
			t.Fatalf("Build changed its input:\n%s", diff)
		}
	})
}

func TestNoHostNamespaceUnlessAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		s := built(t, in)
		has := func(kind specs.LinuxNamespaceType) bool {
			return slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
				return n.Type == kind && (n.Path != "" || kind == specs.PIDNamespace || kind == specs.MountNamespace)
			})
		}
		p := in.Request.Pod.Spec
		for kind, host := range map[specs.LinuxNamespaceType]bool{
			specs.NetworkNamespace: p.HostNetwork, specs.UTSNamespace: p.HostNetwork,
			specs.IPCNamespace: p.HostIPC, specs.PIDNamespace: p.HostPID, specs.MountNamespace: false,
		} {
			if has(kind) == host {
				t.Fatalf("%s namespace: host's asked for: %v, in the spec: %v", kind, host, has(kind))
			}
		}
		if s.Hostname != "" {
			t.Fatalf("the spec writes host name %q into a shared namespace", s.Hostname)
		}
	})
}

func TestNoRightBeyondAsked(t *testing.T) {
	plain, err := spec.Build(input(webPod()))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		s := built(t, in)
		sc := app(in.Request.Pod).SecurityContext
		if sc.Privileged != nil && *sc.Privileged {
			return
		}
		for _, c := range s.Process.Capabilities.Bounding {
			asked := slices.ContainsFunc(sc.Capabilities.Add, func(a corev1.Capability) bool {
				return a == "ALL" || strings.TrimPrefix(strings.ToUpper(string(a)), "CAP_") == c[len("CAP_"):]
			})
			if !asked && !slices.Contains(plain.Process.Capabilities.Bounding, c) {
				t.Fatalf("%s, but added are %v", c, sc.Capabilities.Add)
			}
		}
		if s.Linux.Seccomp == nil || len(s.Linux.MaskedPaths) == 0 || len(s.Linux.ReadonlyPaths) == 0 || len(s.Linux.Devices) > 0 {
			t.Fatal("a container that is not privileged is not confined")
		}
		if len(s.Annotations) != 1 || s.Annotations[spec.GroupAnnotation] != string(in.Request.UID) {
			t.Fatalf("annotations %v, want the pod's group alone", s.Annotations)
		}
	})
}

func TestParentsAreMountedFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		mounts := built(t, in).Mounts
		for i, m := range mounts {
			for _, later := range mounts[i+1:] {
				if strings.HasPrefix(m.Destination, later.Destination+"/") {
					t.Fatalf("%s is mounted before %s and hidden by it", m.Destination, later.Destination)
				}
			}
		}
		for _, want := range in.Request.Mounts {
			i := slices.IndexFunc(mounts, func(m specs.Mount) bool { return m.Destination == want.Target })
			if mounts[i].Source != want.Source {
				t.Fatalf("%s is %s, not the pod's mount", want.Target, mounts[i].Source)
			}
		}
	})
}

// Text without variables that are known loses only the second of each $$.
func TestExpansionOnlyReplacesWhatItKnows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arg := text.Draw(t, "arg")
		p := webPod()
		app(p).Args = []string{arg, "$(" + arg}
		got := built(t, input(p)).Process.Args[1]
		if want := strings.ReplaceAll(arg, "$$", "$"); !strings.Contains(arg, "(") && got != want {
			t.Fatalf("%q became %q, want %q", arg, got, want)
		}
		if len(got) > len(arg) {
			t.Fatalf("%q grew to %q", arg, got)
		}
	})
}
