package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

var securityRows = []row{
	{"Row46_UsersAndGroups", usersAndGroups},
	{"Row46_RunAsNonRootIsRefusedWithItsMessage", nonRoot},
	{"Row46_ReadOnlyRootFilesystem", readOnlyRoot},
	{"Row46_PrivilegedAndCapabilities", privileged},
	{"Row46_NoNewPrivileges", noNewPrivileges},
	{"Row46_SharedProcessNamespace", sharedProcesses},
	{"Row46_HostNamespaces", hostNamespaces},
	{"Row47_SeccompDefault", seccompDefault},
	{"Row47_SeccompLocalhostFailsClosed", seccompLocalhost},
	{"Threat22_UsersOfImages", imageUsers},
	{"Threat22_WorkingDirectoriesOfImages", imageFolders},
}

func usersAndGroups(t *testing.T, h *harness.Host) {
	runs(h, "ids", simple("ids", script("echo uid $(id -u) gid $(id -g) groups $(id -G)"),
		"securityContext: {runAsUser: 1000, runAsGroup: 3000, supplementalGroups: [4000]}\n", ""))
	// 2000 lists the user in the image's /etc/group.
	says(t, h, "ids", "uid 1000 gid 3000 groups 3000 2000 4000")
	runs(h, "ids-strict", simple("ids-strict", script("echo uid $(id -u) gid $(id -g) groups $(id -G)"),
		"securityContext: {runAsUser: 1, runAsGroup: 3000, supplementalGroups: [4000], supplementalGroupsPolicy: Strict}\n",
		"securityContext: {runAsUser: 1000}\n"))
	says(t, h, "ids-strict", "uid 1000 gid 3000 groups 3000 4000")
}

func nonRoot(t *testing.T, h *harness.Host) {
	h.Write("nonroot.yaml", simple("nonroot", script(), "securityContext: {runAsNonRoot: true}\n", ""))
	waiting(h, "nonroot", "CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
	h.Write("nonroot-zero.yaml", simple("nonroot-zero", script(), "", "securityContext: {runAsNonRoot: true, runAsUser: 1000, runAsGroup: 0}\n"))
	h.WaitRunning("default/nonroot-zero", waitKernel)
}

func readOnlyRoot(t *testing.T, h *harness.Host) {
	runs(h, "roroot", simple("roroot", script("touch /file || echo refused", "touch /v/file && echo volume"),
		"volumes: [{name: v, emptyDir: {}}]\n", "securityContext: {readOnlyRootFilesystem: true}\nvolumeMounts: [{name: v, mountPath: /v}]\n"))
	says(t, h, "roroot", "refused", "volume")
}

func privileged(t *testing.T, h *harness.Host) {
	facts := script("grep CapEff: /proc/self/status", "mount -t tmpfs none /tmp && echo mounted", "test -e /dev/kmsg && echo devices",
		"(echo 1 > /proc/sys/vm/swappiness) 2>&1 | grep -q Read-only && echo masked")
	runs(h, "plain", simple("plain", facts, "", ""))
	says(t, h, "plain", "masked")
	out, err := h.CLI("logs", "plain")
	if err != nil || strings.Contains(out, "mounted") || strings.Contains(out, "devices") {
		t.Errorf("an ordinary container said %q, %v, want it neither to mount nor to see devices", out, err)
	}
	runs(h, "privileged", simple("privileged", facts, "", "securityContext: {privileged: true}\n"))
	says(t, h, "privileged", "mounted", "devices")
	own := statusLine(t, "CapEff:")
	says(t, h, "privileged", "CapEff:\t"+own)

	runs(h, "caps", simple("caps", script("grep CapEff: /proc/self/status"), "",
		"securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE, CHOWN]}}\n"))
	says(t, h, "caps", "CapEff:\t0000000000000401")
}

// statusLine is a value of the test's own process.
func statusLine(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

func noNewPrivileges(t *testing.T, h *harness.Host) {
	line := script("grep NoNewPrivs: /proc/self/status")
	runs(h, "nnp", simple("nnp", line, "", "securityContext: {allowPrivilegeEscalation: false}\n"))
	says(t, h, "nnp", "NoNewPrivs:\t1")
	runs(h, "nnp-off", simple("nnp-off", line, "", "securityContext: {allowPrivilegeEscalation: true}\n"))
	says(t, h, "nnp-off", "NoNewPrivs:\t0")
}

// two is a pod of two containers, of which app says whether it sees the other.
func two(name, podSpec string) string {
	return manifest(name, block(2, podSpec)+fmt.Sprintf(`  containers:
  - {name: other, image: %[1]s, command: [/bin/busybox, sleep, "7654"]}
  - {name: app, image: %[1]s, command: %[2]s}
`, shell, script("while ! grep -qa '[7]654' /proc/[0-9]*/cmdline && [ ! -e /tmp/enough ]; do sleep 0.1; done; test -e /tmp/enough && echo alone || echo sees other")))
}

func sharedProcesses(t *testing.T, h *harness.Host) {
	runs(h, "pids-shared", two("pids-shared", "shareProcessNamespace: true\n"))
	runs(h, "pids-own", two("pids-own", ""))
	says(t, h, "pids-shared", "sees other")
	for _, name := range []string{"pids-shared", "pids-own"} {
		h.WaitRunning("default/"+name, waitKernel)
	}
	if _, err := h.CLI("exec", "pids-own", "-c", "app", "--", "/bin/busybox", "touch", "/tmp/enough"); err != nil {
		t.Fatal(err)
	}
	says(t, h, "pids-own", "alone")
}

func hostNamespaces(t *testing.T, h *harness.Host) {
	facts := script("for n in pid ipc net uts; do echo $n $(readlink /proc/self/ns/$n); done", "echo I am $(hostname)")
	runs(h, "ns-host", simple("ns-host", facts, "hostPID: true\nhostIPC: true\nhostNetwork: true\n", ""))
	runs(h, "ns-own", simple("ns-own", facts, "", ""))
	says(t, h, "ns-own", "I am ns-own")
	for _, n := range []string{"pid", "ipc", "net"} {
		host, err := os.Readlink("/proc/self/ns/" + n)
		if err != nil {
			t.Fatal(err)
		}
		if got := lineOf(t, h, "ns-host", n+" (.*)"); got != host {
			t.Errorf("%s namespace of the host's kind is %s, want the host's %s", n, got, host)
		}
		if got := lineOf(t, h, "ns-own", n+" (.*)"); got == host {
			t.Errorf("%s namespace of an ordinary pod is the host's, %s", n, host)
		}
	}
}

func seccompDefault(t *testing.T, h *harness.Host) {
	line := script("grep Seccomp: /proc/self/status", "unshare -U true || echo unshare refused")
	runs(h, "seccomp", simple("seccomp", line, "", ""))
	says(t, h, "seccomp", "Seccomp:\t2", "unshare refused")
	runs(h, "seccomp-off", simple("seccomp-off", line, "securityContext: {seccompProfile: {type: Unconfined}}\n", ""))
	says(t, h, "seccomp-off", "Seccomp:\t0")
}

func seccompLocalhost(t *testing.T, h *harness.Host) {
	h.Write("seccomp-missing.yaml", simple("seccomp-missing", script(), "",
		"securityContext: {seccompProfile: {type: Localhost, localhostProfile: no/such.json}}\n"))
	waiting(h, "seccomp-missing", "CreateContainerConfigError", "no/such.json")
}

// hostile adds an image of the shell with a configuration that means harm.
func hostile(t *testing.T, h *harness.Host, ref string, c v1.Config) {
	t.Helper()
	img, err := images.FromDebian(t.Context(), images.Options{Config: c, Files: map[string]images.File{
		"/etc/passwd": {Mode: 0o644, Content: []byte("root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\nzero:x:x:x::/:/bin/sh\nbig:x:4294967296:4294967296::/:/bin/sh\n")},
	}}, "busybox-static")
	if err != nil {
		t.Fatal(err)
	}
	h.AddImage(ref, img)
}

// imageUsers: a user that an image makes up is never taken for root.
func imageUsers(t *testing.T, h *harness.Host) {
	cases := []struct{ name, user, want string }{
		{"named", "app", "uid 1000"},
		{"numbered", "4711:4712", "uid 4711"},
		{"too-large", "2147483648", ""},
		{"wraps-to-zero", "4294967296", ""},
		{"hex", "0x0", ""},
		{"negative", "-1", ""},
		{"unknown", "nobody-knows", ""},
		{"no-number", "zero", ""},
		{"wraps-in-passwd", "big", ""},
	}
	for _, c := range cases {
		ref := "example.org/user-" + c.name + ":1"
		hostile(t, h, ref, v1.Config{User: c.user})
		yaml := simple("user-"+c.name, script("echo uid $(id -u)"), "", "")
		h.Write("user-"+c.name+".yaml", strings.ReplaceAll(yaml, shell, ref))
	}
	for _, c := range cases {
		if c.want != "" {
			says(t, h, "user-"+c.name, c.want)
			continue
		}
		waiting(h, "user-"+c.name, "CreateContainerError", fmt.Sprintf("%q", c.user))
	}
}

func imageFolders(t *testing.T, h *harness.Host) {
	for name, dir := range map[string]string{"fd": "/proc/self/fd/7", "dots": "/tmp/../proc/self/fd/7", "dev": "/dev/fd/7", "relative": "proc/self/fd/7"} {
		ref := "example.org/cwd-" + name + ":1"
		hostile(t, h, ref, v1.Config{WorkingDir: dir})
		h.Write("cwd-"+name+".yaml", strings.ReplaceAll(simple("cwd-"+name, script(), "", ""), shell, ref))
	}
	for _, name := range []string{"fd", "dots", "dev", "relative"} {
		waiting(h, "cwd-"+name, "CreateContainerError", "WorkingDir")
	}
}
