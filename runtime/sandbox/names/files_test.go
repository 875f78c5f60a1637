package names_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/runtime/sandbox/names"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
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
		t.Errorf("%s (-file +made; -update writes it):\n%s", file, diff)
	}
}

func TestHosts(t *testing.T) {
	ips := []string{"10.88.0.5", "fd00:88::5"}
	aliases := []corev1.HostAlias{
		{IP: "192.0.2.7", Hostnames: []string{"db", "db.example.org"}},
		{IP: "192.0.2.8"},
		{IP: "2001:db8::9", Hostnames: []string{"cache"}},
	}
	plain := names.Names{Host: "web", Kernel: "web"}
	golden(t, "hosts", names.Hosts(plain, ips, nil))
	golden(t, "hosts-domain", names.Hosts(names.Names{Host: "web", Domain: "shop.default.svc.cluster.local"}, ips, nil))
	golden(t, "hosts-aliases", names.Hosts(plain, ips[:1], aliases))
	golden(t, "hosts-no-address", names.Hosts(plain, nil, nil))
	golden(t, "hosts-host-network", names.HostNetworkHosts([]byte("127.0.0.1 localhost\n192.0.2.1 server # ours"), aliases))
	golden(t, "hosts-host-network-none", names.HostNetworkHosts(nil, nil))
}

// A pod that asks for FQDN as its host name has the same lines as any other.
func TestHostsDoNotDependOnTheKernelsName(t *testing.T) {
	n := names.Names{Host: "web", Domain: "d", Kernel: "web"}
	qualified := n
	qualified.Kernel = "web.d"
	if diff := cmp.Diff(string(names.Hosts(n, nil, nil)), string(names.Hosts(qualified, nil, nil))); diff != "" {
		t.Error(diff)
	}
}

const hostResolv = `# by hand
domain ignored.example
search example.org  corp.example   ; comment
nameserver 192.0.2.53
nameserver 2001:db8::53 # second
sortlist 192.0.2.0/24
nameserver
options timeout:2
options ndots:1 rotate
`

func TestDNS(t *testing.T) {
	stub := []byte("nameserver 127.0.0.53\noptions edns0\nsearch example.org\n")
	upstream := []byte("nameserver 192.0.2.1\nsearch up.example\n")
	none := func(c *corev1.PodDNSConfig) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.DNSPolicy, p.Spec.DNSConfig = corev1.DNSNone, c }
	}
	policy := func(policy corev1.DNSPolicy) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.DNSPolicy = policy }
	}
	config := func(c corev1.PodDNSConfig) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.DNSPolicy, p.Spec.DNSConfig = corev1.DNSClusterFirst, &c }
	}
	onHost := func(p *corev1.Pod) { p.Spec.HostNetwork = true }
	plain := "search example.org corp.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions timeout:2 ndots:1 rotate\n"
	const nobody = "names no server that a pod can reach"
	for _, tc := range []struct {
		name   string
		change func(*corev1.Pod)
		host   names.Host
		want   string
		note   string
	}{
		{"ClusterFirst is Default", policy(corev1.DNSClusterFirst), names.Host{ResolvConf: []byte(hostResolv)}, plain, ""},
		{"ClusterFirstWithHostNet is Default", policy(corev1.DNSClusterFirstWithHostNet), names.Host{ResolvConf: []byte(hostResolv)}, plain, ""},
		{"Default", policy(corev1.DNSDefault), names.Host{ResolvConf: []byte(hostResolv)}, plain, ""},
		{"resolved", nil, names.Host{ResolvConf: stub, Upstream: upstream}, "search up.example\nnameserver 192.0.2.1\n", ""},
		{"resolved is not asked for those behind it where it is not needed", nil,
			names.Host{ResolvConf: []byte("nameserver 192.0.2.9\n"), Upstream: upstream}, "nameserver 192.0.2.9\n", ""},
		{"resolved for the host's network", onHost, names.Host{ResolvConf: stub, Upstream: upstream},
			"search example.org\nnameserver 127.0.0.53\noptions edns0\n", ""},
		{"loopback alone", nil, names.Host{ResolvConf: stub}, "search example.org\noptions edns0\n", nobody},
		{"loopback upstream", nil, names.Host{ResolvConf: stub, Upstream: []byte("nameserver ::1\n")}, "", nobody},
		{"loopback among others", nil, names.Host{ResolvConf: []byte("nameserver ::1\nnameserver fe80::1%eth0\nnameserver 0.0.0.0\nnameserver 192.0.2.1\n")},
			"nameserver 192.0.2.1\n", ""},
		{"nothing", nil, names.Host{}, "", nobody},
		{"None", none(&corev1.PodDNSConfig{Nameservers: []string{"192.0.2.5"}}), names.Host{ResolvConf: []byte(hostResolv)}, "nameserver 192.0.2.5\n", ""},
		{"merged", config(corev1.PodDNSConfig{
			Nameservers: []string{"2001:db8::53", "192.0.2.5"}, Searches: []string{"corp.example", "more.example"},
			Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: new("5")}, {Name: "edns0"}, {Name: "attempts", Value: new("")}}}),
			names.Host{ResolvConf: []byte(hostResolv)},
			"search example.org corp.example more.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver 192.0.2.5\n" +
				"options timeout:2 ndots:5 rotate edns0 attempts\n", ""},
		{"own server where the host has none", config(corev1.PodDNSConfig{Nameservers: []string{"192.0.2.5"}}), names.Host{ResolvConf: stub},
			"search example.org\nnameserver 192.0.2.5\noptions edns0\n", ""},
		{"four servers", config(corev1.PodDNSConfig{Nameservers: []string{"192.0.2.5", "192.0.2.6"}}), names.Host{ResolvConf: []byte(hostResolv)},
			"search example.org corp.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver 192.0.2.5\noptions timeout:2 ndots:1 rotate\n",
			"of 4 name servers only the first 3 are used: 192.0.2.53 2001:db8::53 192.0.2.5; left out: 192.0.2.6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, notes := names.DNS(web(tc.change), tc.host)
			if diff := cmp.Diff(tc.want, string(r.File())); diff != "" {
				t.Errorf("resolv.conf (-want +got):\n%s", diff)
			}
			if got := strings.Join(notes, "\n"); !strings.Contains(got, tc.note) || (tc.note == "") != (got == "") {
				t.Errorf("notes %q, want %q", got, tc.note)
			}
		})
	}
}

// TestDNSOfServices: pods that find Services by name ask our server alone, in
// the domains of Kubernetes and then the host's.
func TestDNSOfServices(t *testing.T) {
	host := names.Host{ResolvConf: []byte(hostResolv), NameServers: []string{"10.118.0.10"}}
	const own = "search example.org corp.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions timeout:2 ndots:1 rotate\n"
	const cluster = "search default.svc.cluster.local svc.cluster.local cluster.local example.org corp.example\nnameserver 10.118.0.10\noptions ndots:5\n"
	for _, tc := range []struct {
		policy      corev1.DNSPolicy
		hostNetwork bool
		want        string
	}{
		{corev1.DNSClusterFirst, false, cluster}, {corev1.DNSClusterFirst, true, own},
		{corev1.DNSClusterFirstWithHostNet, true, cluster}, {corev1.DNSClusterFirstWithHostNet, false, cluster},
		{corev1.DNSDefault, false, own}, {corev1.DNSNone, false, ""},
	} {
		r, _ := names.DNS(web(func(p *corev1.Pod) { p.Spec.DNSPolicy, p.Spec.HostNetwork = tc.policy, tc.hostNetwork }), host)
		if diff := cmp.Diff(tc.want, string(r.File())); diff != "" {
			t.Errorf("%s, host's network %v (-want +got):\n%s", tc.policy, tc.hostNetwork, diff)
		}
	}
	r, _ := names.DNS(web(func(p *corev1.Pod) {
		p.Spec.DNSPolicy, p.Spec.DNSConfig = corev1.DNSClusterFirst, &corev1.PodDNSConfig{Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: new("2")}}}
	}), host)
	if got := string(r.File()); !strings.Contains(got, "options ndots:2\n") {
		t.Errorf("with an option of its own the pod has %q", got)
	}
}

func TestSearchListIsBounded(t *testing.T) {
	for _, tc := range []struct {
		n, length, want int
	}{{32, 10, 32}, {33, 10, 32}, {10, 300, 6}} {
		var list []string
		for i := range tc.n {
			list = append(list, strings.Repeat(string(rune('a'+i)), tc.length))
		}
		r, notes := names.DNS(web(func(p *corev1.Pod) {
			p.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1"}, Searches: list}
		}), names.Host{})
		if len(r.Searches) != tc.want || (len(notes) == 1) != (tc.want < tc.n) {
			t.Errorf("%d domains of %d characters: kept %d with notes %q, want %d", tc.n, tc.length, len(r.Searches), notes, tc.want)
		}
	}
}
