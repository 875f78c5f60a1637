package names

import (
	"net/netip"
	"slices"
	"strings"
)

// The bounds are Kubernetes': the C library asks no more than three name
// servers, and older ones read no more of the search list.
const (
	maxServers       = 3
	maxSearches      = 32
	maxSearchesBytes = 2048
)

// Resolver is what /etc/resolv.conf says.
type Resolver struct {
	Servers, Searches []string
	// Options are NAME or NAME:VALUE.
	Options []string
}

// ParseResolvConf reads a resolv.conf as the C library does: of domain and
// search the last one counts, and what it does not know is passed over.
func ParseResolvConf(text []byte) Resolver {
	var r Resolver
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		line, _, _ = strings.Cut(line, ";")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			r.Servers = append(r.Servers, words[1])
		case "domain":
			r.Searches = words[1:2]
		case "search":
			r.Searches = words[1:]
		case "options":
			r.Options = mergeOptions(r.Options, words[1:])
		}
	}
	return r
}

// File returns the resolver as a resolv.conf.
func (r Resolver) File() []byte {
	var b strings.Builder
	if len(r.Searches) > 0 {
		b.WriteString("search " + strings.Join(r.Searches, " ") + "\n")
	}
	for _, s := range r.Servers {
		b.WriteString("nameserver " + s + "\n")
	}
	if len(r.Options) > 0 {
		b.WriteString("options " + strings.Join(r.Options, " ") + "\n")
	}
	return []byte(b.String())
}

// reachable drops the name servers that only the host itself can ask: those on
// its loopback and those behind one of its links.
func (r Resolver) reachable() Resolver {
	r.Servers = slices.DeleteFunc(slices.Clone(r.Servers), func(server string) bool {
		ip, err := netip.ParseAddr(server)
		return err == nil && (ip.IsLoopback() || ip.IsUnspecified() || ip.Zone() != "")
	})
	return r
}

// mergeOptions appends options; one that is there already is replaced.
func mergeOptions(options, more []string) []string {
	options = slices.Clone(options)
	for _, o := range more {
		name, _, _ := strings.Cut(o, ":")
		at := slices.IndexFunc(options, func(old string) bool {
			oldName, _, _ := strings.Cut(old, ":")
			return oldName == name
		})
		if at < 0 {
			options = append(options, o)
			continue
		}
		options[at] = o
	}
	return options
}

// mergeLists appends what is not there yet.
func mergeLists(list, more []string) []string {
	var merged []string
	for _, word := range slices.Concat(list, more) {
		if !slices.Contains(merged, word) {
			merged = append(merged, word)
		}
	}
	return merged
}
