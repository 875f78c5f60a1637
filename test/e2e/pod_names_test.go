package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

var nameRows = []row{
	{"Row43_HostsAreManaged", hostsManaged},
	{"Row43_HostAliases", hostAliases},
	{"Row43_AnOwnMountWins", ownHosts},
	{"Row43_HostNetworkHasTheHostsFiles", hostNetworkHosts},
	{"Row48_SafeSysctls", safeSysctls},
	{"Row48_UnsafeSysctlsAreForbidden", unsafeSysctls},
	{"Row71_HostnameAndFQDN", hostnames},
	{"Row71_AnFQDNOfMoreThan64StaysPending", longName},
	{"DNSPolicies", dnsPolicies},
	{"FilesOfUsersWithFewRights", filesOfOthers},
	{"Threat_FilesDontFillTheHost", filesAreBounded},
}

const (
	hostsOfTheHost  = "127.0.0.1 localhost\n192.0.2.1 server server.example.org\n"
	resolvOfTheHost = "search corp.example\nnameserver 127.0.0.53\nnameserver 192.0.2.53\noptions timeout:1\n"
)

// TestPodNames tries what pods are called and whom they know by name, on a
// host with known files of its own.
func TestPodNames(t *testing.T) {
	insteadOf(t, "/etc/hosts", hostsOfTheHost)
	insteadOf(t, "/etc/resolv.conf", resolvOfTheHost)
	h := harness.New(t, harness.Options{})
	addShell(t, h)
	h.Start()
	before := h.Settled()
	t.Run("row", func(t *testing.T) {
		for _, r := range nameRows {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				r.try(t, h.For(t))
			})
		}
	})
	manifests, err := filepath.Glob(filepath.Join(h.Manifests, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifests {
		h.Remove(filepath.Base(m))
	}
	h.NoLeaks(before, time.Minute)
}

// insteadOf mounts a file over one of the host, which is the test's own mount
// namespace.
func insteadOf(t *testing.T, path, content string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(file, path, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
}

func hostsManaged(t *testing.T, h *harness.Host) {
	const podIP = "env: [{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]\n"
	runs(h, "hosts", simple("hosts", script("cat /etc/hosts", "echo expected $POD_IP",
		`echo found $(awk '$2 == "hosts" {print $1; exit}' /etc/hosts)`, "echo name $(cat /etc/hostname)"), "", podIP))
	says(t, h, "hosts", "# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "name hosts")
	// A pod that has loopback only finds itself there.
	want := strings.TrimSpace(lineOf(t, h, "hosts", "expected(.*)"))
	if want == "" {
		want = "127.0.0.1"
	}
	if got := lineOf(t, h, "hosts", "found (.*)"); got != want {
		t.Errorf("the pod's name leads to %s, want %s", got, want)
	}
	out, err := h.CLI("logs", "hosts")
	if err != nil || strings.Contains(out, "server.example.org") {
		t.Errorf("/etc/hosts has lines of the host: %v\n%s", err, out)
	}
}

func hostAliases(t *testing.T, h *harness.Host) {
	p := manifest("aliases", fmt.Sprintf(`  hostAliases:
  - {ip: 192.0.2.7, hostnames: [db, db.example.org]}
  - {ip: "2001:db8::7", hostnames: [cache]}
  containers:
  - {name: other, image: %[1]s, command: %[2]s}
  - {name: app, image: %[1]s, command: %[3]s}
`, shell, script("true"), script("cat /etc/hosts", "ping -c 1 -W 1 db | head -1")))
	runs(h, "aliases", p)
	says(t, h, "aliases", "# Entries added by HostAliases.", "192.0.2.7\tdb\tdb.example.org", "2001:db8::7\tcache")
	lineOf(t, h, "aliases", `PING db \(192\.0\.2\.7\).*`)
	uid := h.WaitRunning("default/aliases", time.Minute).UID
	// Another alias takes another pod.
	h.Write("aliases.yaml", strings.Replace(p, "192.0.2.7", "192.0.2.8", 1))
	h.WaitPod("default/aliases", time.Minute, func(p corev1.Pod) error {
		if p.UID == uid || p.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("uid %s, phase %s, want another pod than %s", p.UID, p.Status.Phase, uid)
		}
		return nil
	})
	says(t, h, "aliases", "192.0.2.8\tdb\tdb.example.org")
}

func ownHosts(t *testing.T, h *harness.Host) {
	dir := folder(t, h, "own-etc")
	for name, content := range map[string]string{"hosts": "192.0.2.9 mine\n", "resolv.conf": "nameserver 192.0.2.99\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names, _ := serviceIP(h, 10)
	runs(h, "own-file", simple("own-file", script("echo hosts $(cat /etc/hosts)", "echo resolv $(grep -c "+names+" /etc/resolv.conf)"),
		fmt.Sprintf("volumes: [{name: v, hostPath: {path: %s/hosts, type: File}}]\n", dir), "volumeMounts: [{name: v, mountPath: /etc/hosts}]\n"))
	says(t, h, "own-file", "hosts 192.0.2.9 mine", "resolv 1")
	// Who mounts all of /etc gets it as it is, and nothing is put into it.
	runs(h, "own-folder", simple("own-folder", script("echo files $(ls /etc)", "echo resolv $(cat /etc/resolv.conf)"),
		fmt.Sprintf("volumes: [{name: v, hostPath: {path: %s}}]\n", dir), "volumeMounts: [{name: v, mountPath: /etc}]\n"))
	says(t, h, "own-folder", "files hosts resolv.conf", "resolv nameserver 192.0.2.99")
}

func hostNetworkHosts(t *testing.T, h *harness.Host) {
	runs(h, "host-net", simple("host-net", script("cat /etc/hosts /etc/resolv.conf", "echo called $(hostname) $(cat /etc/hostname)"),
		"hostNetwork: true\nhostAliases: [{ip: 192.0.2.7, hostnames: [db]}]\n", ""))
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	says(t, h, "host-net", "# Kubernetes-managed hosts file (host network).", "192.0.2.1 server server.example.org", "192.0.2.7\tdb",
		"search corp.example", "nameserver 127.0.0.53", "nameserver 192.0.2.53", "called "+host+" "+host)
}

func safeSysctls(t *testing.T, h *harness.Host) {
	show := script("echo forced $(cat /proc/sys/kernel/shm_rmid_forced)")
	for name, written := range map[string]string{"sysctl-dots": "kernel.shm_rmid_forced", "sysctl-slashes": "kernel/shm_rmid_forced"} {
		runs(h, name, simple(name, show, "securityContext: {sysctls: [{name: "+written+", value: \"1\"}]}\n", ""))
		says(t, h, name, "forced 1")
	}
	runs(h, "sysctl-none", simple("sysctl-none", show, "", ""))
	says(t, h, "sysctl-none", "forced 0")
}

func unsafeSysctls(t *testing.T, h *harness.Host) {
	runs(h, "sysctl-unsafe", simple("sysctl-unsafe", script("echo runs"), "", ""))
	for spec, want := range map[string]string{
		"securityContext: {sysctls: [{name: kernel.msgmax, value: \"65536\"}]}\n":                          `"kernel.msgmax", want kernel.shm_rmid_forced`,
		"hostIPC: true\nsecurityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: \"1\"}]}\n":      "no hostIPC",
		"hostNetwork: true\nsecurityContext: {sysctls: [{name: net/ipv4/tcp_syncookies, value: \"1\"}]}\n": "no hostNetwork",
	} {
		h.Write("sysctl-unsafe.yaml", simple("sysctl-unsafe", script("echo runs"), spec, ""))
		h.Eventually(waitKernel, func() error {
			out, err := h.CLI("describe", "pod", "sysctl-unsafe")
			if err == nil && (!strings.Contains(out, "SysctlForbidden") || !strings.Contains(out, want) || !strings.Contains(out, "keeps running as before")) {
				err = fmt.Errorf("no word of SysctlForbidden and %q in:\n%s", want, out)
			}
			return err
		})
	}
}

func hostnames(t *testing.T, h *harness.Host) {
	const domain = "shop.default.svc.cluster.local"
	for _, tc := range []struct{ name, spec, host, fqdn string }{
		{"host-plain", "", "host-plain", "host-plain"},
		{"host-name", "hostname: front\n", "front", "front"},
		{"host-sub", "subdomain: shop\n", "host-sub", "host-sub." + domain},
		{"host-both", "hostname: front\nsubdomain: shop\n", "front", "front." + domain},
		{"host-fqdn", "hostname: front\nsubdomain: shop\nsetHostnameAsFQDN: true\n", "front." + domain, "front." + domain},
		{"host-fqdn-alone", "setHostnameAsFQDN: true\n", "host-fqdn-alone", "host-fqdn-alone"},
		{"host-override", "hostname: front\nsubdomain: shop\nhostnameOverride: db.example.org\n", "db.example.org", "db.example.org"},
		{strings.Repeat("n", 70), "", strings.Repeat("n", 63), strings.Repeat("n", 63)},
	} {
		runs(h, tc.name, simple(tc.name, script("echo host $(hostname)", "echo fqdn $(hostname -f)"), tc.spec, ""))
		says(t, h, tc.name, "host "+tc.host, "fqdn "+tc.fqdn)
	}
}

func longName(t *testing.T, h *harness.Host) {
	spec := "setHostnameAsFQDN: true\nhostname: " + strings.Repeat("h", 20) + "\nsubdomain: " + strings.Repeat("s", 20) + "\n"
	h.Write("long.yaml", simple("long", script("true"), spec, ""))
	p := waiting(h, "long", "ContainerCreating", "has 67 characters, and a host name of Linux at most 64")
	if p.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s, want Pending", p.Status.Phase)
	}
	h.Write("long.yaml", simple("long", script("echo $(hostname)"), strings.Replace(spec, strings.Repeat("h", 20), "h", 1), ""))
	says(t, h, "long", "h."+strings.Repeat("s", 20)+".default.svc.cluster.local")
}

func dnsPolicies(t *testing.T, h *harness.Host) {
	// What listens on the host's loopback can't be asked by a pod.
	const inherited = "search corp.example nameserver 192.0.2.53 options timeout:1"
	names, _ := serviceIP(h, 10)
	served := "search default.svc.cluster.local svc.cluster.local cluster.local corp.example nameserver " + names + " options ndots:5"
	for name, tc := range map[string]struct{ spec, want string }{
		"dns-unset":   {"", served},
		"dns-cluster": {"dnsPolicy: ClusterFirst\n", served},
		"dns-hostnet": {"dnsPolicy: ClusterFirstWithHostNet\n", served},
		"dns-default": {"dnsPolicy: Default\n", inherited},
		"dns-none":    {"dnsPolicy: None\ndnsConfig: {nameservers: [192.0.2.5]}\n", "nameserver 192.0.2.5"},
		"dns-together": {"dnsConfig: {nameservers: [192.0.2.5], searches: [a.example], options: [{name: ndots, value: \"2\"}, {name: timeout, value: \"3\"}]}\n",
			strings.NewReplacer("corp.example", "corp.example a.example", names, names+" nameserver 192.0.2.5", "ndots:5", "ndots:2 timeout:3").Replace(served)},
	} {
		runs(h, name, simple(name, script("echo $(cat /etc/resolv.conf)"), tc.spec, ""))
		says(t, h, name, tc.want)
	}
}

// filesOfOthers is with a user who is not root and a root file system that is
// read-only: all can be read and nothing written.
func filesOfOthers(t *testing.T, h *harness.Host) {
	try := script("for f in hosts hostname resolv.conf; do test -s /etc/$f && echo reads $f; (echo x >> /etc/$f) 2>/dev/null || echo refused $f; done")
	want := []string{"reads hosts", "reads hostname", "reads resolv.conf", "refused hosts", "refused hostname", "refused resolv.conf"}
	runs(h, "files-user", simple("files-user", try, "", "securityContext: {runAsUser: 1000, runAsNonRoot: true}\n"))
	says(t, h, "files-user", want...)
	runs(h, "files-read-only", simple("files-read-only", try, "", "securityContext: {readOnlyRootFilesystem: true}\n"))
	says(t, h, "files-read-only", want...)
}

// filesAreBounded writes more than there is room for, as root.
func filesAreBounded(t *testing.T, h *harness.Host) {
	fill := script("echo '192.0.2.66 added' >> /etc/hosts && ping -c 1 -W 1 added | head -1",
		"for f in hosts hostname resolv.conf; do head -c 9000000 /dev/zero >> /etc/$f 2>/dev/null || echo full $f; done",
		"echo sizes $(cat /etc/hosts /etc/hostname /etc/resolv.conf | wc -c)")
	runs(h, "fill", simple("fill", fill, "", ""))
	lineOf(t, h, "fill", `PING added \(192\.0\.2\.66\).*`)
	says(t, h, "fill", "full hosts", "full hostname", "full resolv.conf")
	var size int
	if _, err := fmt.Sscan(lineOf(t, h, "fill", "sizes (.*)"), &size); err != nil || size > 1<<20 {
		t.Errorf("the files grew to %d bytes, %v, want at most 1 MiB", size, err)
	}
}
