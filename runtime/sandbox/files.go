package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/sandbox/names"
)

// maxHostFile is how much is read of a file of the host. The files of a pod
// share a tmpfs of 1 MiB with its last words.
const maxHostFile = 256 << 10

// writeFiles makes what the containers find in /etc. Nothing about the host's
// own files keeps a pod from starting: what is wrong with them is in the notes.
func (s *Sandboxes) writeFiles(b pod.Sandbox, p *corev1.Pod, called names.Names) (notes []string, err error) {
	if err := os.Mkdir(b.EtcDir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of files for /etc: %w", err)
	}
	read := func(path string) []byte {
		text, err := readStart(path)
		if err != nil {
			notes = append(notes, err.Error())
		}
		return text
	}
	var host names.Host
	if p.Spec.DNSPolicy != corev1.DNSNone {
		host = names.Host{ResolvConf: read(s.cfg.ResolvConf), Upstream: read(s.cfg.UpstreamResolvConf), NameServers: s.nameServers(b.IPs)}
	}
	hosts := names.Hosts(called, b.IPs, p.Spec.HostAliases)
	if p.Spec.HostNetwork {
		hosts = names.HostNetworkHosts(read(s.cfg.HostsFile), p.Spec.HostAliases)
	}
	resolver, lacking := names.DNS(p, host)
	return slices.Concat(notes, lacking), errors.Join(
		writeEtc(b, "hosts", hosts),
		writeEtc(b, "hostname", []byte(called.Kernel+"\n")),
		writeEtc(b, "resolv.conf", resolver.File()))
}

// nameServers is the one that a pod with these addresses can ask, of the first
// family that it has. One is enough: all are the same.
func (s *Sandboxes) nameServers(ips []string) []string {
	for _, server := range s.cfg.NameServers {
		if slices.ContainsFunc(ips, func(ip string) bool {
			a, err := netip.ParseAddr(ip)
			return err == nil && a.Is4() == server.Is4()
		}) {
			return []string{server.String()}
		}
	}
	return nil
}

// readdress gives a sandbox that is whole the addresses that the pod has now.
func (s *Sandboxes) readdress(dir string, b pod.Sandbox, p *corev1.Pod, called names.Names, ips []string) (pod.Sandbox, error) {
	if slices.Equal(b.IPs, ips) {
		return b, nil
	}
	b.IPs = ips
	if b.EtcDir != "" && !p.Spec.HostNetwork {
		if err := writeEtc(b, "hosts", names.Hosts(called, ips, p.Spec.HostAliases)); err != nil {
			return b, err
		}
	}
	return b, s.record(dir, b)
}

// writeEtc writes one file. It is written in place, since containers have the
// file itself mounted, and with a mode that every user may read it by.
func writeEtc(b pod.Sandbox, name string, content []byte) error {
	path := filepath.Join(b.EtcDir, name)
	if err := errors.Join(os.WriteFile(path, content, 0o644), os.Chmod(path, 0o644)); err != nil {
		return fmt.Errorf("write the pod's /etc/%s: %w", name, err)
	}
	return nil
}

// readStart reads a file of the host, or the whole lines of its first
// maxHostFile bytes with an error that says so. One that is not there is nil.
func readStart(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the host's file: %w; the pod goes without it", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHostFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the host's file: %w; the pod goes without it", err)
	}
	if len(text) <= maxHostFile {
		return text, nil
	}
	text = text[:bytes.LastIndexByte(text[:maxHostFile], '\n')+1]
	return text, fmt.Errorf("the host's %s is larger than %d KiB: pods get its first %d bytes", path, maxHostFile>>10, len(text))
}
