package validation_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func podSpec(by func(s *corev1.PodSpec)) change {
	return func(p *corev1.Pod, _ *corev1.Container) { by(&p.Spec) }
}

func TestHostNames(t *testing.T) {
	override := func(name string, more func(s *corev1.PodSpec)) change {
		return podSpec(func(s *corev1.PodSpec) {
			s.HostnameOverride = &name
			if more != nil {
				more(s)
			}
		})
	}
	alias := func(ip string, names ...string) change {
		return podSpec(func(s *corev1.PodSpec) { s.HostAliases = []corev1.HostAlias{{IP: ip, Hostnames: names}} })
	}
	many := func(n int) change {
		return podSpec(func(s *corev1.PodSpec) {
			for range n {
				s.HostAliases = append(s.HostAliases, corev1.HostAlias{IP: "1.2.3.4", Hostnames: []string{strings.Repeat("a", 119)}})
			}
		})
	}
	checkRules(t, []rule{
		{"subdomain", podSpec(func(s *corev1.PodSpec) { s.Subdomain = "a.b" }),
			[]string{`spec.subdomain: invalid-name: must not contain dots (got "a.b")`}, podSpec(func(s *corev1.PodSpec) { s.Subdomain = "a-b" })},
		{"override of 65", override(strings.Repeat("a", 65), nil),
			[]string{"spec.hostnameOverride: invalid-name: is longer than a host name of Linux can be (got 65 characters, want at most 64)"},
			override("db."+strings.Repeat("a", 61), nil)},
		{"override and FQDN", override("db", func(s *corev1.PodSpec) { s.SetHostnameAsFQDN = new(true) }),
			[]string{`spec.hostnameOverride: invalid: and setHostnameAsFQDN can't both be set (got "db", want one of the two)`},
			override("db", func(s *corev1.PodSpec) { s.SetHostnameAsFQDN = new(false) })},
		{"override on the host's network", override("db", func(s *corev1.PodSpec) { s.HostNetwork = true }),
			[]string{`spec.hostnameOverride: invalid: can't be had with hostNetwork: the pod is called what the host is called (got "db", want one of the two)`},
			override("", func(s *corev1.PodSpec) { s.HostNetwork = true })},
		{"alias of a name", alias("db", "a"),
			[]string{`spec.hostAliases[0].ip: invalid: must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff) (got "db", want an IPv4 or IPv6 address)`},
			alias("::1", "a", "b.example.org")},
		{"alias with a line break", alias("192.0.2.1", "a\n192.0.2.2"),
			[]string{`spec.hostAliases[0].hostnames[0]: invalid-name: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*') (got "a\n192.0.2.2")`},
			alias("192.0.2.1")},
		{"too many aliases", many(1025), []string{"spec.hostAliases: limit: are too large together (got 131200 bytes, want at most 131072 bytes)"}, many(1024)},
	})
}

func TestDNS(t *testing.T) {
	config := func(policy corev1.DNSPolicy, c *corev1.PodDNSConfig) change {
		return podSpec(func(s *corev1.PodSpec) { s.DNSPolicy, s.DNSConfig = policy, c })
	}
	servers := func(list ...string) change {
		return config(corev1.DNSNone, &corev1.PodDNSConfig{Nameservers: list})
	}
	searches := func(list ...string) change { return config("", &corev1.PodDNSConfig{Searches: list}) }
	option := func(name string, value *string) change {
		return config("", &corev1.PodDNSConfig{Options: []corev1.PodDNSConfigOption{{Name: name, Value: value}}})
	}
	numbered := func(n int, format string) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf(format, i))
		}
		return list
	}
	long := strings.Repeat("a", 60) + "."
	checkRules(t, []rule{
		{"policy", config("None of these", nil),
			[]string{`spec.dnsPolicy: invalid: is not a known value (got "None of these", want ClusterFirst, ClusterFirstWithHostNet, Default or None)`},
			config(corev1.DNSDefault, nil)},
		{"None without servers", config(corev1.DNSNone, &corev1.PodDNSConfig{Searches: []string{"example.org"}}),
			[]string{"spec.dnsConfig.nameservers: required: is required with dnsPolicy None (want the address of at least one name server)"}, servers("192.0.2.1")},
		{"four servers", servers(numbered(4, "192.0.2.%d")...),
			[]string{"spec.dnsConfig.nameservers: limit: has too many entries (got 4, want at most 3)"}, servers(numbered(3, "192.0.2.%d")...)},
		{"server by name", servers("dns.example.org"),
			[]string{`spec.dnsConfig.nameservers[0]: invalid: must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff) (got "dns.example.org", want an IPv4 or IPv6 address)`},
			servers("2001:db8::53")},
		{"33 domains", searches(numbered(33, "d%d")...),
			[]string{"spec.dnsConfig.searches: limit: has too many entries (got 33, want at most 32)"}, searches(numbered(32, "d%d")...)},
		{"long domains", searches(numbered(9, strings.Repeat(long, 4)+"d%d")...),
			[]string{"spec.dnsConfig.searches: limit: are too long together (got 2222 characters, want at most 2048, blanks between them included)"},
			searches(numbered(8, strings.Repeat(long, 4)+"d%d")...)},
		{"domain", searches("a b"),
			[]string{`spec.dnsConfig.searches[0]: invalid-name: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*') (got "a b")`},
			searches("_tcp.example.org.", ".")},
		{"option without name", option("", new("1")),
			[]string{"spec.dnsConfig.options[0].name: required: is required (want an option of resolv.conf, such as ndots)"}, option("ndots", new("1"))},
		{"option with a line break", option("ndots", new("1\nnameserver 192.0.2.66")),
			[]string{`spec.dnsConfig.options[0].value: invalid: is not one word of resolv.conf (got "1\nnameserver 192.0.2.66", want no blanks, line breaks, # or ;)`},
			option("rotate", nil)},
	})
}

func TestSysctls(t *testing.T) {
	set := func(more func(s *corev1.PodSpec), list ...corev1.Sysctl) change {
		return podSpec(func(s *corev1.PodSpec) {
			s.SecurityContext = &corev1.PodSecurityContext{Sysctls: list}
			if more != nil {
				more(s)
			}
		})
	}
	one := func(name, value string) change { return set(nil, corev1.Sysctl{Name: name, Value: value}) }
	const at = "spec.securityContext.sysctls[0]"
	const safe = "kernel.shm_rmid_forced, net.ipv4.ip_local_port_range, net.ipv4.ip_local_reserved_ports, net.ipv4.ip_unprivileged_port_start, " +
		"net.ipv4.ping_group_range, net.ipv4.tcp_fin_timeout, net.ipv4.tcp_keepalive_intvl, net.ipv4.tcp_keepalive_probes, net.ipv4.tcp_keepalive_time, " +
		"net.ipv4.tcp_notsent_lowat, net.ipv4.tcp_rmem, net.ipv4.tcp_slow_start_after_idle, net.ipv4.tcp_syncookies or net.ipv4.tcp_wmem"
	var all []corev1.Sysctl
	for _, name := range strings.FieldsFunc(strings.ReplaceAll(safe, " or ", ", "), func(r rune) bool { return r == ',' || r == ' ' }) {
		all = append(all, corev1.Sysctl{Name: name, Value: "1"})
	}
	if len(all) != 14 {
		t.Fatalf("%d safe settings, Kubernetes has 14", len(all))
	}
	unsafe := at + ".name: invalid: is not among the settings that are safe (SysctlForbidden): it could change the server or other pods (got %q, want " + safe + ")"
	hostNetwork, hostIPC := func(s *corev1.PodSpec) { s.HostNetwork = true }, func(s *corev1.PodSpec) { s.HostIPC = true }
	shm, cookies := corev1.Sysctl{Name: "kernel/shm_rmid_forced", Value: "1"}, corev1.Sysctl{Name: "net.ipv4.tcp_syncookies", Value: "1"}
	checkRules(t, []rule{
		{"unsafe", one("kernel.msgmax", "65536"), []string{fmt.Sprintf(unsafe, "kernel.msgmax")}, set(nil, all...)},
		{"unsafe with slashes", one("net/core/somaxconn", "1"), []string{fmt.Sprintf(unsafe, "net/core/somaxconn")}, one("net/ipv4/tcp_syncookies", "1")},
		{"path", one("kernel/../vm/swappiness", "1"), []string{fmt.Sprintf(unsafe, "kernel/../vm/swappiness")}, unchanged},
		{"no name", one("", "1"), []string{at + ".name: required: is required (want " + safe + ")"}, unchanged},
		{"no value", one("net.ipv4.tcp_syncookies", " "), []string{at + `.value: required: is required (want a value for "net.ipv4.tcp_syncookies")`},
			one("net.ipv4.tcp_rmem", "4096\t131072 6291456")},
		{"line break", one("net.ipv4.tcp_syncookies", "1\n2"), []string{at + `.value: invalid: has a control character (got "1\n2", want one line)`}, unchanged},
		{"value of shm_rmid_forced", one("kernel.shm_rmid_forced", "2"), []string{at + `.value: invalid: is not a known value (got "2", want 0 or 1)`}, one("kernel.shm_rmid_forced", "0")},
		{"twice", set(nil, shm, corev1.Sysctl{Name: "kernel.shm_rmid_forced", Value: "0"}),
			[]string{`spec.securityContext.sysctls[1].name: duplicate: is set by spec.securityContext.sysctls[0] already (got "kernel.shm_rmid_forced", want each setting once)`},
			set(nil, shm, cookies)},
		{"host's network", set(hostNetwork, cookies),
			[]string{at + `.name: invalid: would change the server's network, which the pod uses (SysctlForbidden) (got "net.ipv4.tcp_syncookies", want the setting left out, or no hostNetwork)`},
			set(hostNetwork, shm)},
		{"host's IPC", set(hostIPC, shm),
			[]string{at + `.name: invalid: would change the server's IPC, which the pod uses (SysctlForbidden) (got "kernel/shm_rmid_forced", want the setting left out, or no hostIPC)`},
			set(hostIPC, cookies)},
	})
}
