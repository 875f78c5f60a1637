package spec_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is a spec as the files hold it. The default system call filter has
// several hundred lines that change with containerd and with the machine's
// architecture; its name stands for it.
type golden struct {
	Seccomp string      `json:"seccomp"`
	Spec    *specs.Spec `json:"spec"`
}

func goldenOf(s *specs.Spec) golden {
	g := golden{Seccomp: "none", Spec: s}
	if s.Linux.Seccomp == nil {
		return g
	}
	g.Seccomp = "as in spec"
	if cmp.Equal(s.Linux.Seccomp, seccomp.DefaultProfile(s)) {
		g.Seccomp, s.Linux.Seccomp = "containerd's default for these capabilities", nil
	}
	return g
}

const localhostProfile = `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read","write","execve","exit_group"],"action":"SCMP_ACT_ALLOW"}]}`

// goldenInputs is one request per kind of pod.
func goldenInputs() map[string]spec.Input {
	m := map[string]spec.Input{}
	for name, change := range goldenPods() {
		p := webPod()
		in := input(p)
		change(p, &in)
		in.Request.Pod = p
		m[name] = in
	}
	return m
}

func limits(p *corev1.Pod, cpuRequest, memRequest, cpu, mem string) {
	app(p).Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse(cpuRequest), "memory": resource.MustParse(memRequest)}
	app(p).Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(mem)}
}

type change func(p *corev1.Pod, in *spec.Input)

func goldenPods() map[string]change {
	m := map[string]change{}
	for _, part := range []map[string]change{goldenResources(), goldenSecurity(), goldenSharing(), goldenContent()} {
		maps.Copy(m, part)
	}
	return m
}

func goldenResources() map[string]change {
	return map[string]change{
		"guaranteed": func(p *corev1.Pod, in *spec.Input) {
			limits(p, "500m", "64Mi", "500m", "64Mi")
			in.Request.CgroupPath, in.Request.OOMScoreAdj = "/podstead/pod6f0c/app", -997
			in.Request.Resources = &specs.LinuxResources{
				CPU:    &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(50000)), Period: new(uint64(100000))},
				Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20))},
			}
		},
		"burstable": func(p *corev1.Pod, in *spec.Input) {
			limits(p, "100m", "32Mi", "1", "128Mi")
			in.Request.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(102))}}
		},
		"besteffort": func(_ *corev1.Pod, in *spec.Input) {
			in.Request.CgroupPath, in.Request.OOMScoreAdj = "/podstead/besteffort/pod6f0c/app", 1000
		},
		"resource-field-ref": func(p *corev1.Pod, _ *spec.Input) {
			limits(p, "100m", "32Mi", "1500m", "100Mi")
			app(p).Env = []corev1.EnvVar{
				resourceEnv("CPUS", "limits.cpu", ""), resourceEnv("MILLICPUS", "limits.cpu", "1m"),
				resourceEnv("BYTES", "limits.memory", ""), resourceEnv("GIB", "limits.memory", "1Gi"),
				resourceEnv("ASKED", "requests.cpu", "1m"), resourceEnv("DISK", "requests.ephemeral-storage", ""),
			}
		},
		"resource-field-ref-node": func(p *corev1.Pod, _ *spec.Input) {
			app(p).Env = []corev1.EnvVar{resourceEnv("CPUS", "limits.cpu", ""), resourceEnv("MIB", "limits.memory", "1Mi")}
		},
	}
}

func goldenSecurity() map[string]change {
	return map[string]change{
		"privileged": func(p *corev1.Pod, _ *spec.Input) { security(p).Privileged = new(true) },
		"restricted": func(p *corev1.Pod, _ *spec.Input) {
			sc := security(p)
			sc.AllowPrivilegeEscalation, sc.RunAsNonRoot, sc.RunAsUser = new(false), new(true), new(int64(1000))
			sc.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
			sc.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
		},
		"run-as-non-root": func(p *corev1.Pod, in *spec.Input) {
			podSecurity(p).RunAsNonRoot = new(true)
			in.Image.User = "1000:adm"
		},
		"seccomp-localhost": func(p *corev1.Pod, in *spec.Input) {
			podSecurity(p).SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: new("web/strict.json")}
			in.SeccompProfile = []byte(localhostProfile)
		},
		"unconfined-unmasked": func(p *corev1.Pod, _ *spec.Input) {
			security(p).ProcMount = new(corev1.UnmaskedProcMount)
			security(p).SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
		},
		"apparmor": func(_ *corev1.Pod, in *spec.Input) {
			in.Host.AppArmor, in.Host.AppArmorProfiles = true, []string{spec.AppArmorDefault}
		},
		"fs-group": func(p *corev1.Pod, in *spec.Input) {
			podSecurity(p).FSGroup, podSecurity(p).SupplementalGroups = new(int64(2000)), []int64{3000, 4}
			in.Image.User = "app"
		},
		"read-only-root": func(p *corev1.Pod, _ *spec.Input) { security(p).ReadOnlyRootFilesystem = new(true) },
		"capabilities": func(p *corev1.Pod, _ *spec.Input) {
			security(p).Capabilities = &corev1.Capabilities{
				Add:  []corev1.Capability{"sys_time", "CAP_NET_ADMIN", "NET_RAW"},
				Drop: []corev1.Capability{"chown", "NET_RAW"},
			}
		},
	}
}

func goldenSharing() map[string]change {
	return map[string]change{
		"host-namespaces": func(p *corev1.Pod, in *spec.Input) {
			p.Spec.HostNetwork, p.Spec.HostPID, p.Spec.HostIPC = true, true, true
			in.Request.Sandbox = pod.Sandbox{ID: "s1", Ready: true, IPs: []string{"192.0.2.10"}, EtcDir: "/run/podstead/pods/6f0c/files/etc"}
		},
		"share-processes": func(p *corev1.Pod, in *spec.Input) {
			p.Spec.ShareProcessNamespace = new(true)
			in.Request.PausePID = 4711
		},
		"pause": func(p *corev1.Pod, in *spec.Input) {
			p.Spec.ShareProcessNamespace = new(true)
			in.Request.Name, in.Request.Role, in.Request.Image = pod.PauseName, pod.RolePause, pod.Image{}
			in.RootPath, in.TerminationLog = "/var/lib/podstead/pause", ""
		},
		"cgroup-v1": func(_ *corev1.Pod, in *spec.Input) { in.Host.CgroupV2 = false },
		"init": func(p *corev1.Pod, in *spec.Input) {
			p.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "busybox", Command: []string{"sh", "-c", "echo ready > /work/flag"}, WorkingDir: "/work/../work"}}
			in.Request.Name, in.Request.Role = "setup", pod.RoleInit
			in.Request.Mounts = []pod.Mount{{Source: "/var/lib/podstead/pods/6f0c/volumes/work", Target: "/work", Propagation: "private"}}
		},
	}
}

func goldenContent() map[string]change {
	return map[string]change{
		"tty": func(p *corev1.Pod, _ *spec.Input) { app(p).TTY, app(p).Stdin = true, true },
		"mounts": func(p *corev1.Pod, in *spec.Input) {
			app(p).TerminationMessagePath = "/srv/log/last-words"
			in.Request.Mounts = []pod.Mount{
				{Source: "/v/deep", Target: "/srv/log/deep", Propagation: "rslave"},
				{Source: "/v/log", Target: "/srv/log", Propagation: "private"},
				{Source: "/v/conf", Target: "/etc/app/", ReadOnly: true, Propagation: "private"},
				{Source: "/v/tree", Target: "/tree", ReadOnly: true, RecursiveReadOnly: true, Propagation: "private"},
				{Source: "/v/shm", Target: "/dev/shm", Propagation: "private"},
			}
		},
		"own-hosts": func(_ *corev1.Pod, in *spec.Input) {
			in.Request.Mounts = []pod.Mount{{Source: "/v/hosts", Target: "/etc/hosts", ReadOnly: true, Propagation: "private"}}
		},
		"own-etc": func(_ *corev1.Pod, in *spec.Input) {
			in.Request.Mounts = []pod.Mount{{Source: "/v/etc", Target: "/etc", Propagation: "private"}}
		},
		"no-etc-files": func(_ *corev1.Pod, in *spec.Input) { in.Request.Sandbox.EtcDir = "" },
		"expansion": func(p *corev1.Pod, _ *spec.Input) {
			app(p).Env = []corev1.EnvVar{
				{Name: "LANG", Value: "de_DE"}, {Name: "HOST", Value: "db"}, {Name: "URL", Value: "pg://$(HOST):$(PORT)/$$(HOST)"},
				{Name: "PORT", Value: "5432"}, {Name: "LATER", Value: "$(PORT)"}, {Name: "IMAGES", Value: "$(PATH)"},
			}
			app(p).Command = []string{"/bin/$(HOST)", "$(MISSING)"}
			app(p).Args = []string{"--url=$(URL)", "$(LANG", "$$$(PORT)", "100$"}
		},
		"field-ref": func(p *corev1.Pod, _ *spec.Input) {
			for _, path := range []string{"metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels['tier']",
				"metadata.annotations['example.com/note']", "metadata.labels['none']", "spec.nodeName", "spec.serviceAccountName",
				"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"} {
				app(p).Env = append(app(p).Env, fieldEnv(path, path))
			}
		},
	}
}

func resourceEnv(name, ref, divisor string) corev1.EnvVar {
	s := &corev1.ResourceFieldSelector{Resource: ref}
	if divisor != "" {
		s.Divisor = resource.MustParse(divisor)
	}
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: s}}
}

func fieldEnv(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}}
}

func TestGolden(t *testing.T) {
	inputs := goldenInputs()
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(goldenOf(build(t, in)), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := filepath.Join("testdata", name+".golden.json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-file +built; -update writes it):\n%s", file, diff)
			}
		})
	}
	files, err := filepath.Glob("testdata/*.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, ok := inputs[strings.TrimSuffix(filepath.Base(file), ".golden.json")]; !ok {
			t.Errorf("%s belongs to no pod", file)
		}
	}
}
