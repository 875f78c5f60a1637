package names

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/podstead/podstead/pod"
)

var update = flag.Bool("update", false, "write the golden file anew")

// TestRecords: what each kind of Service is found by.
func TestRecords(t *testing.T) {
	key := func(namespace, name string) pod.Key { return pod.Key{Namespace: namespace, Name: name} }
	http := []pod.NamedPort{{Name: "http", Protocol: "TCP", Port: 8080}, {Protocol: "UDP", Port: 53}}
	zone := pod.Zone{Services: []pod.NamedService{
		{Key: key("default", "db"), ExternalName: "db.example.org"},
		{Key: key("default", "empty")},
		{Key: key("default", "peers"), Members: []pod.NamedMember{
			{IPs: []string{"10.117.0.5", "fd5b:3c1e:9a27:117::5"}, Ports: http}, {Hostname: "first", IPs: []string{"10.117.0.6", "fd5b:3c1e:9a27:117::6"}, Ports: http},
			{IPs: []string{"203.0.113.7"}, Ports: http}}},
		{Key: key("shop", "web"), IPs: []string{"10.118.7.7", "fd5b:3c1e:9a27:118::7"}, Ports: []pod.NamedPort{{Name: "http", Protocol: "TCP", Port: 80}}},
		// What is no name must not become another record.
		{Key: key("default", "bad"), ExternalName: "x.\nevil.example. 5 IN A 192.0.2.66"},
		{Key: key("default", "bad\nevil"), IPs: []string{"10.118.7.9"}},
		{Key: key("default", "ports"), IPs: []string{"10.118.7.10"}, Ports: []pod.NamedPort{{Name: "a b", Protocol: "TCP", Port: 1}}},
	}}
	got := string(records(zone, []netip.Addr{netip.MustParseAddr("10.118.0.10"), netip.MustParseAddr("fd5b:3c1e:9a27:118::a")},
		[]netip.Prefix{netip.MustParsePrefix("10.117.0.0/16"), netip.MustParsePrefix("10.118.0.0/23"), netip.MustParsePrefix("fd5b:3c1e:9a27:117::/64"), netip.MustParsePrefix("fd5b:3c1e:9a27:118::/111")}))
	file := filepath.Join("testdata", "zone")
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
		t.Errorf("records (-file +made; -update writes it):\n%s", diff)
	}
	if strings.Contains(got, "evil") {
		t.Error("a name made a record of its own")
	}
	parser := dns.NewZoneParser(strings.NewReader(got), ".", "")
	n := 0
	for _, ok := parser.Next(); ok; _, ok = parser.Next() {
		n++
	}
	if parser.Err() != nil || n != strings.Count(got, "\n") {
		t.Errorf("of %d lines %d are records: %v", strings.Count(got, "\n"), n, parser.Err())
	}
}

func TestReverse(t *testing.T) {
	for text, want := range map[string]string{"10.117.0.5": "5.0.117.10.in-addr.arpa.", "fd5b::1": ""} {
		ip := netip.MustParseAddr(text)
		known, err := dns.ReverseAddr(text)
		if got := reverseName(ip); err != nil || got != known || want != "" && got != want {
			t.Errorf("%s is %s, want %s", text, got, known)
		}
	}
	for text, want := range map[string][]string{
		"10.117.0.0/16":   {"117.10.in-addr.arpa."},
		"10.255.254.0/23": {"254.255.10.in-addr.arpa.", "255.255.10.in-addr.arpa."},
		"10.60.0.0/15":    {"60.10.in-addr.arpa.", "61.10.in-addr.arpa."},
		"192.0.2.16/30":   {"16.2.0.192.in-addr.arpa.", "17.2.0.192.in-addr.arpa.", "18.2.0.192.in-addr.arpa.", "19.2.0.192.in-addr.arpa."},
		"fd00::/8":        {"d.f.ip6.arpa."},
		"fd00:118::/31":   {"8.1.1.0.0.0.d.f.ip6.arpa.", "9.1.1.0.0.0.d.f.ip6.arpa."},
	} {
		if got := reverseZones(netip.MustParsePrefix(text)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestWhatDNSCannotHave: a name that would be too long costs no other record,
// and all that is written can be read.
func TestWhatDNSCannotHave(t *testing.T) {
	long := strings.Repeat("p", 63)
	ports := []pod.NamedPort{{Name: long, Protocol: "TCP", Port: 80}, {Name: long[1:], Protocol: "UDP", Port: 81}}
	label := strings.Repeat("n", 63)
	most := strings.Join([]string{label, label, label, label[:61]}, ".") // 253 characters
	key := func(name string) pod.Key { return pod.Key{Namespace: label, Name: name} }
	text := string(records(pod.Zone{Services: []pod.NamedService{
		{Key: key("web"), IPs: []string{"10.118.7.7", "fe80::1%eth0"}, Ports: ports},
		{Key: key(label), Members: []pod.NamedMember{{Hostname: label, IPs: []string{"10.117.0.5"}, Ports: ports}, {Hostname: most, IPs: []string{"10.117.0.6"}, Ports: ports}}},
		{Key: key("most"), ExternalName: most}, {Key: key("dotted"), ExternalName: most + "."},
		{Key: key("more"), ExternalName: most + "n"}, {Key: key("label"), ExternalName: "n" + label + ".example"},
		{Key: key(most), IPs: []string{"10.118.7.8"}},
	}}, nil, []netip.Prefix{netip.MustParsePrefix("10.118.0.0/16"), netip.MustParsePrefix("fe80::/64")}))
	for line := range strings.Lines(text) {
		if rr, err := dns.NewRR(line); err != nil || rr == nil {
			t.Errorf("line %q: %v", line, err)
		} else if _, err := dns.PackRR(rr, make([]byte, 1000), 0, nil, false); err != nil {
			t.Errorf("line %q: %v", line, err)
		}
	}
	in := "." + label + ".svc.cluster.local. 5 IN "
	for _, want := range []string{
		"\nweb" + in + "A 10.118.7.7\n", "\n_" + long[1:] + "._udp.web" + in + "SRV 0 100 81 web." + label + ".svc.cluster.local.\n",
		"\n" + label + "." + label + in + "A 10.117.0.5\n", "\n" + label + in + "A 10.117.0.6\n",
		"\n_" + long[1:] + "._udp." + label + in + "SRV 0 100 81 " + label + "." + label,
		"\nmost" + in + "CNAME " + most + ".\n", "\ndotted" + in + "CNAME " + most + ".\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
