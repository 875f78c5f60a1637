// Package handover is what podstead and its server of names agree on: files
// in a folder, and what sockets are called when they are handed over.
package handover

import (
	"net/netip"
	"strings"
)

// Files in the server's folder.
const (
	// ZoneFile has the records that the server knows by itself, as master files
	// have them (RFC 1035), one a line and each with its whole name. SOA records
	// say which names nobody else is asked for.
	ZoneFile = "zone"
	// SettingsFile has Settings as JSON. Both files are replaced as a whole.
	SettingsFile = "settings.json"
)

// Settings say how the server works. When they change it ends, to be started
// anew.
type Settings struct {
	// Listen are the addresses at which it answers by UDP and TCP; the host
	// need not have them yet.
	Listen []netip.AddrPort `json:"listen"`
	// ResolvConf is the host's resolv.conf, /etc/resolv.conf if empty.
	ResolvConf string `json:"resolvConf,omitempty"`
	// Own are the names that have SOA records: below these nobody else is asked
	// for as long as there is no zone that can be read.
	Own []string `json:"own,omitempty"`
}

// SocketName is what a socket is called: udp or tcp, and its address, without
// what a service manager does not take in a name.
func SocketName(protocol string, at netip.AddrPort) string {
	return strings.NewReplacer(" ", "-", ":", ".", "[", "", "]", "").Replace(protocol + "-" + at.String())
}
