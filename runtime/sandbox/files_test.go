package sandbox_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/sandbox"
)

// hostFiles are those of a host that the test makes.
type hostFiles struct{ dir string }

func (h hostFiles) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// openWith makes sandboxes on a host with own files: hosts, resolv.conf and
// upstream.
func openWith(t *testing.T, run string, h hostFiles, nameServers ...netip.Addr) *sandbox.Sandboxes {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{
		RunDir: run, BootID: "boot", Now: func() pod.Stamp { return begin },
		HostsFile: filepath.Join(h.dir, "hosts"), ResolvConf: filepath.Join(h.dir, "resolv.conf"), UpstreamResolvConf: filepath.Join(h.dir, "upstream"), NameServers: nameServers,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func etc(t *testing.T, b pod.Sandbox, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.EtcDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFilesOfThePod(t *testing.T) {
	// Whatever podstead's own umask is, every user may read them.
	defer unix.Umask(unix.Umask(0o077))
	h := hostFiles{t.TempDir()}
	h.write(t, "hosts", "192.0.2.1 server\n")
	h.write(t, "resolv.conf", "nameserver 192.0.2.53\n")
	s := openWith(t, folder(t), h)
	p := web()
	p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = "shop", new(true)
	b := prepare(t, s, p, pod.Attachment{IPs: []string{"10.88.0.5"}})
	const fqdn = "web.shop.default.svc.cluster.local"
	if got := hostnameIn(t, b.UTSNS); got != fqdn || b.Hostname != fqdn {
		t.Errorf("host name in the namespace %q, told %q, want %q", got, b.Hostname, fqdn)
	}
	if got := etc(t, b, "hostname"); got != fqdn+"\n" {
		t.Errorf("/etc/hostname is %q", got)
	}
	if got := etc(t, b, "resolv.conf"); got != "nameserver 192.0.2.53\n" {
		t.Errorf("/etc/resolv.conf is %q", got)
	}
	if got := etc(t, b, "hosts"); !strings.Contains(got, "\n10.88.0.5\t"+fqdn+"\tweb\n") || strings.Contains(got, "server") {
		t.Errorf("/etc/hosts is %q, want the pod's address and nothing of the host", got)
	}
	for _, name := range []string{"hosts", "hostname", "resolv.conf"} {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(b.EtcDir, name), &st); err != nil || st.Mode&0o777 != 0o644 {
			t.Errorf("etc/%s has mode %o, %v, want 644", name, st.Mode&0o777, err)
		}
	}
	if len(b.Notes) != 0 {
		t.Errorf("notes %q", b.Notes)
	}
}

// A pod asks the name server of a family that it has itself.
func TestNameServerOfThePodsFamily(t *testing.T) {
	four, six := netip.MustParseAddr("10.118.0.10"), netip.MustParseAddr("fd00:118::a")
	for i, tc := range []struct {
		servers []netip.Addr
		ips     []string
		want    string
	}{
		{[]netip.Addr{four, six}, []string{"10.88.0.5", "fd00::5"}, "nameserver 10.118.0.10\n"},
		{[]netip.Addr{four, six}, []string{"fd00::5"}, "nameserver fd00:118::a\n"},
		{[]netip.Addr{four}, []string{"fd00::5"}, "nameserver 192.0.2.53\n"},
		{nil, []string{"10.88.0.5"}, "nameserver 192.0.2.53\n"},
	} {
		h := hostFiles{t.TempDir()}
		h.write(t, "resolv.conf", "nameserver 192.0.2.53\n")
		p := web()
		p.Spec.DNSPolicy = corev1.DNSClusterFirst
		b := prepare(t, openWith(t, folder(t), h, tc.servers...), p, pod.Attachment{IPs: tc.ips})
		if got := etc(t, b, "resolv.conf"); !strings.Contains(got, tc.want) || strings.Count(got, "nameserver") != 1 {
			t.Errorf("%d: resolv.conf is %q, want %q", i, got, tc.want)
		}
	}
}

// The host's files are read when a sandbox is made, and never again.
func TestFilesAreMadeOnceButForAddresses(t *testing.T) {
	h := hostFiles{t.TempDir()}
	run := folder(t)
	first := prepare(t, openWith(t, run, h), web(), pod.Attachment{IPs: []string{"10.88.0.5"}})
	if len(first.Notes) != 1 || !strings.Contains(first.Notes[0], "names can't be looked up") {
		t.Errorf("notes %q, want that there is no name server", first.Notes)
	}
	h.write(t, "resolv.conf", "nameserver 192.0.2.53\n")
	open, err := os.Open(filepath.Join(first.EtcDir, "hosts"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	s := openWith(t, run, h)
	again := prepare(t, s, web(), pod.Attachment{IPs: []string{"10.88.0.6"}})
	if again.ID != first.ID || etc(t, again, "resolv.conf") != "" {
		t.Errorf("made anew as %+v, resolv.conf %q", again, etc(t, again, "resolv.conf"))
	}
	if diff := cmp.Diff(again, only(t, s)); diff != "" {
		t.Errorf("listed (-prepared +listed):\n%s", diff)
	}
	// Containers have the file itself mounted: it must not be another one.
	text := make([]byte, 4096)
	n, err := open.ReadAt(text, 0)
	if !strings.Contains(string(text[:n]), "\n10.88.0.6\tweb\n") {
		t.Errorf("the file that was there has %q, %v, want the new address", text[:n], err)
	}
}

func TestHostNetworkHasTheHostsFiles(t *testing.T) {
	h := hostFiles{t.TempDir()}
	h.write(t, "hosts", "192.0.2.1 server\n")
	h.write(t, "resolv.conf", "nameserver 127.0.0.53\n")
	p := web()
	p.Spec.HostNetwork = true
	p.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.7", Hostnames: []string{"db"}}}
	b := prepare(t, openWith(t, folder(t), h), p, pod.Attachment{IPs: []string{"192.0.2.1"}})
	if got := etc(t, b, "hosts"); !strings.Contains(got, "\n192.0.2.1 server\n") || !strings.Contains(got, "\n192.0.2.7\tdb\n") {
		t.Errorf("/etc/hosts is %q, want the host's and the alias", got)
	}
	host, _ := os.Hostname()
	if got := etc(t, b, "hostname"); got != host+"\n" {
		t.Errorf("/etc/hostname is %q, want %q", got, host)
	}
	if got := etc(t, b, "resolv.conf"); got != "nameserver 127.0.0.53\n" {
		t.Errorf("/etc/resolv.conf is %q, want the host's", got)
	}
}

// Whatever is wrong with the host's files, the pod starts and its notes say
// so.
func TestBadFilesOfTheHost(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(h hostFiles) error
		note  string
	}{
		"hosts is a folder":       {func(h hostFiles) error { return os.Mkdir(filepath.Join(h.dir, "hosts"), 0o755) }, "hosts: is a directory; the pod goes without it"},
		"resolv.conf is a folder": {func(h hostFiles) error { return os.Mkdir(filepath.Join(h.dir, "resolv.conf"), 0o755) }, "resolv.conf: is a directory"},
		"hosts of 8 MB": {func(h hostFiles) error {
			return os.WriteFile(filepath.Join(h.dir, "hosts"), []byte(strings.Repeat("0.0.0.0 blocked.example\n", 350_000)), 0o644)
		}, "is larger than 256 KiB: pods get its first 262128 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			h := hostFiles{t.TempDir()}
			if err := tc.spoil(h); err != nil {
				t.Fatal(err)
			}
			p := web()
			p.Spec.HostNetwork = true
			b := prepare(t, openWith(t, folder(t), h), p, pod.Attachment{})
			if got := strings.Join(b.Notes, "\n"); !strings.Contains(got, tc.note) {
				t.Errorf("notes %q, want %q", got, tc.note)
			}
			if got := etc(t, b, "hosts"); len(got) > 260<<10 || !strings.HasSuffix(got, "\n") {
				t.Errorf("/etc/hosts has %d bytes and ends in %q", len(got), got[len(got)-10:])
			}
		})
	}
}

func TestNameThatIsTooLongIsRefused(t *testing.T) {
	s := open(t, folder(t), "boot")
	p := web()
	p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = strings.Repeat("s", 60), new(true)
	_, err := s.Prepare(t.Context(), first, "uid-1", p, pod.Attachment{})
	if refused, ok := errors.AsType[*pod.Refused](err); !ok || !strings.Contains(refused.Message, "setHostnameAsFQDN") {
		t.Errorf("Prepare = %v, want a refusal", err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v, want nothing", list, err)
	}
}

func withSysctl(name, value string) *corev1.Pod {
	p := web()
	p.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "net.ipv4.tcp_syncookies", Value: "1"}, {Name: name, Value: value}}}
	return p
}

func TestIPCSysctls(t *testing.T) {
	const file = "/proc/sys/kernel/shm_rmid_forced"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kernel.shm_rmid_forced", "kernel/shm_rmid_forced"} {
		b := prepare(t, open(t, folder(t), "boot"), withSysctl(name, "1"), pod.Attachment{})
		if got := inIPC(t, b.IPCNS, file); got != "1\n" {
			t.Errorf("%s in the pod is %q, want 1", name, got)
		}
	}
	b := prepare(t, open(t, folder(t), "boot"), web(), pod.Attachment{})
	if got := inIPC(t, b.IPCNS, file); got != "0\n" {
		t.Errorf("in a pod that asks for nothing it is %q, want 0", got)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("on the host it was %q and is %q, %v", before, after, err)
	}
	s := open(t, folder(t), "boot")
	_, err = s.Prepare(t.Context(), first, "uid-1", withSysctl("kernel.shm_rmid_forced", "2"), pod.Attachment{})
	refused, ok := errors.AsType[*pod.Refused](err)
	if !ok || refused.Reason != "SysctlForbidden" || !strings.Contains(refused.Message, `sysctls[1]: the kernel does not take "2"`) {
		t.Errorf("Prepare = %v, want a refusal", err)
	}
}

// inIPC reads a file on a thread that is in a pinned IPC namespace.
func inIPC(t *testing.T, ns, file string) string {
	t.Helper()
	if ok, err := nspin.Pinned(nspin.IPC, ns); err != nil || !ok {
		t.Fatalf("%s is not pinned: %v", ns, err)
	}
	var text []byte
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		f, err := os.Open(ns)
		if err == nil {
			err = errors.Join(unix.Setns(int(f.Fd()), unix.CLONE_NEWIPC), f.Close())
		}
		if err == nil {
			text, err = os.ReadFile(file)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A sandbox of a version that made no files stays as it is: nothing is
// restarted for them.
func TestSandboxOfAnOlderVersionIsKept(t *testing.T) {
	run := folder(t)
	s := open(t, run, "boot")
	before := prepare(t, s, web(), pod.Attachment{IPs: []string{"10.88.0.5"}})
	path := filepath.Join(run, "pods/uid-1/sandbox.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.ReplaceAll(string(text), `"etcDir"`, `"unknown"`)
	if err := errors.Join(os.RemoveAll(before.EtcDir), os.WriteFile(path, []byte(old), 0o600)); err != nil {
		t.Fatal(err)
	}
	before.EtcDir = ""
	if diff := cmp.Diff(before, only(t, s)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	before.IPs = []string{"10.88.0.6"}
	if diff := cmp.Diff(before, prepare(t, s, web(), pod.Attachment{IPs: before.IPs})); diff != "" {
		t.Errorf("prepared again (-want +got):\n%s", diff)
	}
}
