package cli

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// forwardedPort is one LOCAL:REMOTE; local is 0 for any that is free.
type forwardedPort struct {
	local, remote uint16
}

// parsePort reads PORT, LOCAL:REMOTE or :REMOTE. The remote one may be the
// name of a port of the pod.
func parsePort(text string, p *corev1.Pod) (forwardedPort, error) {
	local, remote, both := strings.Cut(text, ":")
	if !both {
		remote = local
	}
	if strings.Contains(remote, ":") {
		return forwardedPort{}, fmt.Errorf("invalid port format '%s': want [LOCAL:]REMOTE", text)
	}
	var port forwardedPort
	var err error
	if port.remote, err = remotePort(remote, p); err != nil {
		return port, err
	}
	switch {
	case !both:
		port.local = port.remote
	case local != "":
		n, err := strconv.ParseUint(local, 10, 16)
		if err != nil {
			return port, fmt.Errorf("error parsing local port '%s': want a number from 0 to 65535", local)
		}
		port.local = uint16(n)
	}
	return port, nil
}

func remotePort(text string, p *corev1.Pod) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	switch {
	case err == nil && n > 0:
		return uint16(n), nil
	case text == "" || strings.Trim(text, "0123456789") == "":
		return 0, fmt.Errorf("error parsing remote port '%s': want a number from 1 to 65535 or the name of a port", text)
	}
	for port := range containerPorts(p) {
		switch {
		case port.Name != text:
		case !isTCP(port):
			return 0, fmt.Errorf("port '%s' of pod '%s' is %s: only TCP can be forwarded", text, p.Name, port.Protocol)
		default:
			return uint16(port.ContainerPort), nil
		}
	}
	return 0, fmt.Errorf("Pod '%s' does not have a named port '%s'", p.Name, text) //nolint:staticcheck // kubectl's words
}

// containerPorts are the ports of all containers of a pod.
func containerPorts(p *corev1.Pod) iter.Seq[*corev1.ContainerPort] {
	return func(yield func(*corev1.ContainerPort) bool) {
		for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
			for i := range list {
				for j := range list[i].Ports {
					if !yield(&list[i].Ports[j]) {
						return
					}
				}
			}
		}
	}
}

func isTCP(port *corev1.ContainerPort) bool {
	return port.Protocol == corev1.ProtocolTCP || port.Protocol == ""
}

// parseAddresses takes IP addresses and localhost, which is both loopbacks.
func parseAddresses(words []string) ([]netip.Addr, error) {
	var addresses []netip.Addr
	for _, word := range words {
		if word == "localhost" {
			addresses = append(addresses, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback())
			continue
		}
		ip, err := netip.ParseAddr(word)
		if err != nil {
			return nil, fmt.Errorf("%s is not a valid IP: --address wants IP addresses or localhost", word)
		}
		addresses = append(addresses, ip)
	}
	if len(addresses) == 0 {
		return nil, errors.New("--address: got nothing, want IP addresses or localhost")
	}
	return addresses, nil
}
