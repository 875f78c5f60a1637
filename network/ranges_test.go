package network_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func TestNewRefusesRangesOfServices(t *testing.T) {
	for _, tc := range []struct {
		ranges []netip.Prefix
		want   string
	}{
		{prefixes("10.118.0.0/29"), "16 addresses or more"},
		{prefixes("10.118.0.1/16"), "10.118.0.0/16, the range that this is in"},
		{prefixes("10.117.128.0/20"), "a range apart from that of pods, 10.117.0.0/16"},
		{prefixes("10.118.0.0/16", "10.119.0.0/16"), "at most one of each family"},
		{prefixes("10.118.0.0/28", "fd00::/112"), ""},
	} {
		_, err := network.New(network.Config{RunDir: t.TempDir(), ServiceCIDRs: tc.ranges})
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.ranges, err, tc.want)
		}
	}
	got := network.NameServers(prefixes("10.118.0.0/16", "fd5b:3c1e:9a27:118::/112"))
	if want := []netip.Addr{netip.MustParseAddr("10.118.0.10"), netip.MustParseAddr("fd5b:3c1e:9a27:118::a")}; !slices.Equal(got, want) {
		t.Errorf("name servers are at %v, want %v", got, want)
	}
}

// TestDefaultRangesOfServices: they never collide with those that somebody
// chose for pods before there were any.
func TestDefaultRangesOfServices(t *testing.T) {
	for _, tc := range []struct{ pods, want []netip.Prefix }{
		{network.DefaultPodCIDRs(), prefixes("10.118.0.0/16", "fd5b:3c1e:9a27:118::/112")},
		{prefixes("10.60.0.0/20"), prefixes("10.118.0.0/16")},
		{prefixes("10.118.3.0/24", "fd5b:3c1e:9a27:118::/64"), prefixes("10.119.0.0/16", "fd5b:3c1e:9a27:119::/112")},
		{prefixes("10.0.0.0/8", "fd5b:3c1e:9a27::/48"), prefixes("172.29.0.0/16", "fdb8:41d2:6e0a:118::/112")},
	} {
		if got := network.DefaultServiceCIDRs(tc.pods); !slices.Equal(got, tc.want) {
			t.Errorf("beside pods in %v: %v, want %v", tc.pods, got, tc.want)
		}
	}
}

// TestRangeOfServicesThatIsInUse: addresses of others are not taken; what
// does not need the range works, and all of it when the route is gone.
func TestRangeOfServicesThatIsInUse(t *testing.T) {
	l := newLab(t, network.Config{})
	run(t, "ip", "route", "add", "10.118.7.0/24", "via", outside4)
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	serve(t, l.outside, ":8000", "outside")
	within(t, l.outside, func() error {
		run(t, "ip", "addr", "add", cluster4+"/32", "dev", "eth0")
		return nil
	})
	err := l.Set(t.Context(), with([]node{a}, service(a.v4, a.v6)))
	const want = "the range of Services 10.118.0.0/16 overlaps the host's route to 10.118.7.0/24 through up0: choose another range in network.serviceCIDRs or remove the route; it is tried again"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Set = %v, want %s", err, want)
	}
	l.run()
	eventually(t, patience, func() error {
		if got := l.Warnings(); !slices.Contains(got, want) {
			return fmt.Errorf("warnings %q", got)
		}
		return nil
	})
	reaches(t, host, "tcp", at(cluster4, servicePort), "outside")
	reaches(t, a.path, "tcp", at(cluster4, servicePort), "outside")
	reaches(t, a.path, "tcp", at(cluster6, servicePort), "a")
	reaches(t, l.outside, "tcp", at(host4, nodePort), "a")
	// Who has no Service there is not bothered.
	only6 := service(a.v6)
	only6.ClusterIPs = nil
	if err := l.Set(t.Context(), with([]node{a}, only6)); err != nil {
		t.Errorf("without addresses in the range: %v", err)
	}
	run(t, "ip", "route", "del", "10.118.7.0/24")
	l.offer([]node{a}, service(a.v4, a.v6))
	reaches(t, host, "tcp", at(cluster4, servicePort), "a")
	eventually(t, 2*patience, func() error {
		if got := l.Warnings(); len(got) > 0 {
			return fmt.Errorf("warnings %q", got)
		}
		return nil
	})
	// A range in use stays so after a restart, whatever came meanwhile.
	run(t, "ip", "route", "add", "10.118.200.0/24", "via", outside4)
	l.restart(network.Config{})
	l.offer([]node{a}, service(a.v4, a.v6))
	reaches(t, host, "tcp", at(cluster4, servicePort), "a")
}

// TestOwnRoutesAreNoNewsAfterARestart: nobody is advised to remove the routes
// of the podstead before, though nothing has been set yet.
func TestOwnRoutesAreNoNewsAfterARestart(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	l.offer([]node{a}, service(a.v4, a.v6))
	l.restart(network.Config{})
	nft(t, "table inet seen { chain transit { type filter hook forward priority 0; policy drop; }; }")
	l.run()
	eventually(t, patience, func() error {
		if got := l.Warnings(); len(got) != 1 || !strings.Contains(got[0], "inet seen") {
			return fmt.Errorf("warnings %q, want one, of table seen", got)
		}
		return nil
	})
}

// TestOtherRangesAfterARestart: nothing of those before is left.
func TestOtherRangesAfterARestart(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	l.offer([]node{a}, service(a.v4, a.v6))
	l.restart(network.Config{ServiceCIDRs: prefixes("10.119.0.0/24", "fd00:119::/112")})
	other := service(a.v4, a.v6)
	other.ClusterIPs = []string{"10.119.0.7", "fd00:119::7"}
	l.offer([]node{a}, other)
	for _, ip := range other.ClusterIPs {
		reaches(t, host, "tcp", at(ip, servicePort), "a")
	}
	if rest := run(t, "ip", "addr", "show", "dev", "lo") + run(t, "ip", "route", "show", "table", "all") + run(t, "ip", "-6", "route", "show", "table", "all"); strings.Contains(rest, "118") {
		t.Errorf("of the ranges before there is\n%s", rest)
	}
}

// TestOwnAddressesAreNoHostIPs: those at which pods ask for names are not
// what the host is known by.
func TestOwnAddressesAreNoHostIPs(t *testing.T) {
	l := newLab(t, network.Config{})
	l.pod("a")
	run(t, "ip", "link", "del", "up0")
	if ips, err := network.HostIPs(); err != nil || len(ips) != 0 {
		t.Errorf("a host without addresses has %v, %v", ips, err)
	}
	if out := run(t, "ip", "addr", "show", "dev", "lo"); !strings.Contains(out, "10.118.0.10/32") || !strings.Contains(out, "fd5b:3c1e:9a27:118::a/128") {
		t.Errorf("the addresses of names are not there:\n%s", out)
	}
}

// TestNamesAreForPodsAndTheHost: the server of names is reached at its
// addresses by them alone, and nothing else of the host is.
func TestNamesAreForPodsAndTheHost(t *testing.T) {
	l := newLab(t, network.Config{NamesPort: 10053})
	a := l.pod("a")
	l.offer([]node{a})
	for _, server := range network.NameServers(network.DefaultServiceCIDRs(network.DefaultPodCIDRs())) {
		serve(t, host, netip.AddrPortFrom(server, 10053).String(), "names")
	}
	serve(t, host, ":9053", "host")
	within(t, l.outside, func() error {
		run(t, "ip", "route", "add", "10.118.0.0/16", "via", host4)
		run(t, "ip", "route", "add", "fd5b:3c1e:9a27:118::/112", "via", host6)
		return nil
	})
	for _, ip := range []string{"10.118.0.10", "fd5b:3c1e:9a27:118::a"} {
		for _, proto := range []string{"udp", "tcp"} {
			reaches(t, host, proto, at(ip, 53), "names")
			want := map[bool]string{false: a.v4, true: a.v6}[isV6(ip)]
			if from := reaches(t, a.path, proto, at(ip, 53), "names"); from != want {
				t.Errorf("the server saw %s, want %s", from, want)
			}
			for _, port := range []int{53, 10053, 9053} {
				refusesAtOnce(t, l.outside, proto, at(ip, port))
			}
			refusesAtOnce(t, a.path, proto, at(ip, 9053))
		}
	}
}

// TestServiceKubeDNSIsOneLikeOthers: the Service by which clusters offer names
// leads to its pods, and podstead's own offer to the server of names.
func TestServiceKubeDNSIsOneLikeOthers(t *testing.T) {
	l := newLab(t, network.Config{NamesPort: 10053})
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	dns := service(a.v4, a.v6)
	dns.Key = pod.Key{Namespace: "kube-system", Name: "kube-dns"}
	for i := range dns.Ports {
		dns.Ports[i].Port = 53
	}
	l.offer([]node{a}, dns)
	for i, server := range network.NameServers(network.DefaultServiceCIDRs(network.DefaultPodCIDRs())) {
		serve(t, host, netip.AddrPortFrom(server, 10053).String(), "names")
		for _, proto := range []string{"udp", "tcp"} {
			for _, path := range []string{host, a.path} {
				reaches(t, path, proto, at(server.String(), 53), "names")
				reaches(t, path, proto, at(dns.ClusterIPs[i], 53), "a")
			}
		}
	}
}
