// Package names tells the server of names what pods find, and keeps that
// server running. The server, podstead-names, is a process of its own that
// outlives podstead as pods do; it is package server.
package names

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podstead/podstead/pod"
)

// ttl is how long a name may be believed, in seconds, and how long that there
// is none of it: Services come and go.
const ttl = 5

// records writes a zone as the server reads it, one record a line. servers
// are its own addresses; nothing in the domain and of the ranges' reverse
// names is ever asked of anybody else. What is no name as hosts have them, or
// makes a name that DNS can't have, is left out.
func records(zone pod.Zone, servers []netip.Addr, ranges []netip.Prefix) []byte {
	w := &writer{seen: map[string]bool{}, ranges: ranges}
	const server = "ns.dns." + pod.ClusterDomain + "."
	for _, apex := range apexes(ranges) {
		w.add(apex, "SOA", "%s hostmaster.%s. 1 7200 1800 86400 %d", server, pod.ClusterDomain, ttl)
		w.add(apex, "NS", "%s", server)
	}
	for _, ip := range servers {
		w.address(server, ip)
	}
	w.add("dns-version."+pod.ClusterDomain+".", "TXT", `"1.1.0"`)
	for i := range zone.Services {
		w.service(&zone.Services[i])
	}
	return w.Bytes()
}

// apexes are the names below which nobody else is asked.
func apexes(ranges []netip.Prefix) []string {
	names := []string{pod.ClusterDomain + "."}
	for _, r := range ranges {
		names = append(names, reverseZones(r)...)
	}
	return names
}

type writer struct {
	bytes.Buffer
	seen   map[string]bool
	ranges []netip.Prefix
}

// add writes a record unless it is there or one of its names is too long: the
// server could not read it.
func (w *writer) add(name, kind, format string, args ...any) {
	data := fmt.Sprintf(format, args...)
	for _, word := range append(strings.Fields(data), name) {
		if strings.HasSuffix(word, ".") && !fits(word) {
			return
		}
	}
	line := fmt.Sprintf("%s %d IN %s %s\n", name, ttl, kind, data)
	if !w.seen[line] {
		w.seen[line] = true
		w.WriteString(line)
	}
}

func (w *writer) address(name string, ip netip.Addr) {
	if ip.Is4() {
		w.add(name, "A", "%s", ip)
		return
	}
	w.add(name, "AAAA", "%s", ip)
}

// reverse names an address, if it is one of ours.
func (w *writer) reverse(ip netip.Addr, name string) {
	if slices.ContainsFunc(w.ranges, func(r netip.Prefix) bool { return r.Contains(ip) }) {
		w.add(reverseName(ip), "PTR", "%s", name)
	}
}

func (w *writer) service(s *pod.NamedService) {
	if !isName(s.Key.Name) || !isName(s.Key.Namespace) {
		return
	}
	name := fmt.Sprintf("%s.%s.svc.%s.", s.Key.Name, s.Key.Namespace, pod.ClusterDomain)
	ips := parse(s.IPs)
	switch {
	case s.ExternalName != "":
		if external := strings.TrimSuffix(s.ExternalName, "."); isName(external) {
			w.add(name, "CNAME", "%s.", external)
		}
	case len(ips) > 0:
		for _, ip := range ips {
			w.address(name, ip)
			w.reverse(ip, name)
		}
		w.ports(name, s.Ports, name)
	case len(s.Members) > 0:
		for i := range s.Members {
			w.member(name, &s.Members[i])
		}
	default: // The name is there all the same.
		w.add(name, "TXT", `"nobody serves"`)
	}
}

// member writes an endpoint of a headless Service: among all of its name, and
// by its own name, which without a hostname is its address.
func (w *writer) member(service string, m *pod.NamedMember) {
	for _, ip := range parse(m.IPs) {
		own := strings.NewReplacer(".", "-", ":", "-").Replace(ip.String())
		if m.Hostname != "" && isName(m.Hostname) {
			own = m.Hostname
		}
		own += "." + service
		w.address(service, ip)
		w.address(own, ip)
		w.reverse(ip, own)
		w.ports(service, m.Ports, own)
	}
}

// ports writes where the named ports of a Service are.
func (w *writer) ports(service string, ports []pod.NamedPort, target string) {
	for _, p := range ports {
		if isName(p.Name) {
			w.add(fmt.Sprintf("_%s._%s.%s", p.Name, strings.ToLower(string(p.Protocol)), service), "SRV", "0 100 %d %s", p.Port, target)
		}
	}
}

// Limits of names (RFC 1035 §2.3.4), in octets. That of the whole counts the
// dot at the end, which stands for the root's empty label, but not the octet
// before the first label.
const (
	maxLabel = 63
	maxName  = 254
)

// fits tells whether a whole name has the length that DNS allows.
func fits(name string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > maxLabel {
			return false
		}
	}
	return len(name) <= maxName
}

// isName tells of names of hosts, of one label or more.
func isName(name string) bool {
	return fits(name+".") && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
}

// reverseName is the name under which an address is looked up.
func reverseName(ip netip.Addr) string {
	var labels []string
	if ip.Is4() {
		for _, b := range ip.As4() {
			labels = append(labels, fmt.Sprint(b))
		}
		labels = append([]string{"arpa", "in-addr"}, labels...)
	} else {
		for _, b := range ip.As16() {
			labels = append(labels, fmt.Sprintf("%x", b>>4), fmt.Sprintf("%x", b&15))
		}
		labels = append([]string{"arpa", "ip6"}, labels...)
	}
	slices.Reverse(labels)
	return strings.Join(labels, ".") + "."
}

// reverseZones are the names below which the reverse names of a range are.
// Labels stand for eight bits in IPv4 and for four in IPv6; a range that ends
// within one has several.
func reverseZones(r netip.Prefix) []string {
	step, labels := 8, 4
	if r.Addr().Is6() {
		step, labels = 4, 32
	}
	whole := (r.Bits() + step - 1) / step
	var zones []string
	for a, n := r.Masked().Addr(), 1<<(whole*step-r.Bits()); n > 0; n-- {
		all := strings.SplitN(reverseName(a), ".", labels-whole+1)
		zones = append(zones, all[len(all)-1])
		a = next(a, whole*step)
	}
	return zones
}

// next is the address that differs by one at a bit.
func next(a netip.Addr, bits int) netip.Addr {
	b := a.AsSlice()
	for i, carry := (bits-1)/8, 1<<(7-(bits-1)%8); i >= 0 && carry > 0; i-- {
		sum := int(b[i]) + carry
		b[i], carry = byte(sum), sum>>8
	}
	n, _ := netip.AddrFromSlice(b)
	return n
}

func parse(texts []string) []netip.Addr {
	var ips []netip.Addr
	for _, text := range texts {
		if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
			ips = append(ips, ip.Unmap())
		}
	}
	return ips
}
