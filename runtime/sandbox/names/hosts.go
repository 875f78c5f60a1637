package names

import (
	"bytes"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// The headers are the kubelet's: programs and people know them.
const (
	managedHeader     = "# Kubernetes-managed hosts file.\n"
	hostNetworkHeader = "# Kubernetes-managed hosts file (host network).\n"
	aliasesHeader     = "\n# Entries added by HostAliases.\n"
)

const localhost = "127.0.0.1\tlocalhost\n" +
	"::1\tlocalhost ip6-localhost ip6-loopback\n" +
	"fe00::0\tip6-localnet\n" +
	"fe00::0\tip6-mcastprefix\n" +
	"fe00::1\tip6-allnodes\n" +
	"fe00::2\tip6-allrouters\n"

// Hosts returns /etc/hosts of a pod with a network of its own. A pod without
// an address finds its name at 127.0.0.1: programs ask for their own name.
func Hosts(n Names, ips []string, aliases []corev1.HostAlias) []byte {
	own := n.Host
	if n.Domain != "" {
		own = n.Qualified() + "\t" + n.Host
	}
	if len(ips) == 0 {
		ips = []string{"127.0.0.1"}
	}
	var b bytes.Buffer
	b.WriteString(managedHeader + localhost)
	for _, ip := range ips {
		fmt.Fprintf(&b, "%s\t%s\n", ip, own)
	}
	writeAliases(&b, aliases)
	return b.Bytes()
}

// HostNetworkHosts returns /etc/hosts of a pod on the host's network: that of
// the host, or the lines of localhost where the host has none.
func HostNetworkHosts(host []byte, aliases []corev1.HostAlias) []byte {
	var b bytes.Buffer
	b.WriteString(hostNetworkHeader)
	if len(bytes.TrimSpace(host)) == 0 {
		host = []byte(localhost)
	}
	b.Write(host)
	if !bytes.HasSuffix(host, []byte("\n")) {
		b.WriteByte('\n')
	}
	writeAliases(&b, aliases)
	return b.Bytes()
}

func writeAliases(b *bytes.Buffer, aliases []corev1.HostAlias) {
	if len(aliases) == 0 {
		return
	}
	b.WriteString(aliasesHeader)
	for _, a := range aliases {
		if len(a.Hostnames) > 0 {
			fmt.Fprintf(b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
		}
	}
}
