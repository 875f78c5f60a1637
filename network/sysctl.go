package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

const sysctlRoot = "/proc/sys"

// sysctls are those of the pod that its network namespace has.
func sysctls(p *corev1.Pod) []corev1.Sysctl {
	if p.Spec.SecurityContext == nil {
		return nil
	}
	var out []corev1.Sysctl
	for _, s := range p.Spec.SecurityContext.Sysctls {
		if name := pod.SysctlPath(s.Name); strings.HasPrefix(name, "net/") {
			out = append(out, corev1.Sysctl{Name: name, Value: s.Value})
		}
	}
	return out
}

// setSysctls sets sysctls in the namespace of the calling thread.
func setSysctls(list []corev1.Sysctl) error {
	for _, s := range list {
		if filepath.Clean(s.Name) != s.Name {
			return &pod.Refused{Reason: "SysctlForbidden", Message: fmt.Sprintf("spec.securityContext.sysctls: %q is no name of a sysctl", s.Name)}
		}
		if err := setSysctl(s.Name, s.Value); err != nil {
			return &pod.Refused{Reason: "SysctlForbidden", Message: fmt.Sprintf(
				"spec.securityContext.sysctls: %s can't be set to %q: %v; the pod waits for a value that the kernel takes",
				strings.ReplaceAll(s.Name, "/", "."), s.Value, err)}
		}
	}
	return nil
}

// setSysctl writes a value below /proc/sys unless it is there already.
func setSysctl(name, value string) error {
	if now, err := readSysctl(name); err == nil && now == value {
		return nil
	}
	if err := os.WriteFile(filepath.Join(sysctlRoot, name), []byte(value), 0); err != nil {
		return fmt.Errorf("set sysctl %s to %s: %w", name, value, err)
	}
	return nil
}

func readSysctl(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(sysctlRoot, name))
	return strings.TrimSpace(string(text)), err
}

// ipv6Enabled tells whether the host has IPv6 at all.
func ipv6Enabled() bool {
	off, err := readSysctl("net/ipv6/conf/all/disable_ipv6")
	return err == nil && off == "0"
}

const (
	forwarding4 = "net/ipv4/ip_forward"
	forwarding6 = "net/ipv6/conf/all/forwarding"
)

// forward makes the host a router. A host that forwards IPv6 ignores router
// advertisements, and loses its default route with them, unless it is told
// not to first: so each link that heeds them now still does.
func forward(six bool) error {
	if err := setSysctl(forwarding4, "1"); err != nil {
		return err
	}
	if !six {
		return nil
	}
	if now, err := readSysctl(forwarding6); err == nil && now == "1" {
		return nil
	}
	links, err := os.ReadDir(filepath.Join(sysctlRoot, "net/ipv6/conf"))
	if err != nil {
		return fmt.Errorf("list the host's links: %w", err)
	}
	for _, l := range links {
		if err := heedAdvertisements(l.Name()); err != nil {
			return err
		}
	}
	return setSysctl(forwarding6, "1")
}

func heedAdvertisements(link string) error {
	if slices.Contains([]string{"all", "default", "lo"}, link) {
		return nil
	}
	conf := "net/ipv6/conf/" + link
	accept, err := readSysctl(conf + "/accept_ra")
	router, routerErr := readSysctl(conf + "/forwarding")
	switch {
	case errors.Is(errors.Join(err, routerErr), fs.ErrNotExist):
		return nil // the link went meanwhile
	case errors.Join(err, routerErr) != nil:
		return errors.Join(err, routerErr)
	case accept == "1" && router == "0":
		return setSysctl(conf+"/accept_ra", "2")
	}
	return nil
}
