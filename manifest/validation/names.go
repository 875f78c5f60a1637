package validation

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

const (
	// hostnameBytes is the longest host name that Linux takes.
	hostnameBytes = 64
	// aliasBytes bounds what /etc/hosts of a pod may take of the memory for
	// its files.
	aliasBytes = 128 << 10
	// The bounds of Kubernetes on resolv.conf.
	maxNameservers = 3
	maxSearches    = 32
	searchesBytes  = 2048
)

// hostNames checks what a pod is called and whom it calls what.
func (c *checker) hostNames(s *corev1.PodSpec, at *field.Path) {
	for _, label := range []struct{ name, value string }{{"hostname", s.Hostname}, {"subdomain", s.Subdomain}} {
		if label.value != "" {
			c.refuseAll(at.Child(label.name), pod.ReasonInvalidName, label.value, validation.IsDNS1123Label(label.value))
		}
	}
	if s.HostnameOverride != nil && *s.HostnameOverride != "" {
		c.hostnameOverride(*s.HostnameOverride, s, at.Child("hostnameOverride"))
	}
	total := 0
	for i, a := range s.HostAliases {
		here := at.Child("hostAliases").Index(i)
		c.ipAddress(here.Child("ip"), pod.ReasonInvalid, a.IP)
		total += len(a.IP) + 1
		for j, name := range a.Hostnames {
			c.refuseAll(here.Child("hostnames").Index(j), pod.ReasonInvalidName, name, validation.IsDNS1123Subdomain(name))
			total += len(name) + 1
		}
	}
	if total > aliasBytes {
		c.refuse(at.Child("hostAliases"), pod.ReasonLimit, finding{
			"are too large together", fmt.Sprintf("%d bytes", total), fmt.Sprintf("at most %d bytes", aliasBytes)})
	}
}

func (c *checker) hostnameOverride(name string, s *corev1.PodSpec, at *field.Path) {
	c.refuseAll(at, pod.ReasonInvalidName, name, validation.IsDNS1123Subdomain(name))
	if len(name) > hostnameBytes {
		c.refuse(at, pod.ReasonInvalidName, finding{
			"is longer than a host name of Linux can be", fmt.Sprintf("%d characters", len(name)), fmt.Sprintf("at most %d", hostnameBytes)})
	}
	if isTrue(s.SetHostnameAsFQDN) {
		c.refuse(at, pod.ReasonInvalid, finding{"and setHostnameAsFQDN can't both be set", quote(name), "one of the two"})
	}
	if s.HostNetwork {
		c.refuse(at, pod.ReasonInvalid, finding{
			"can't be had with hostNetwork: the pod is called what the host is called", quote(name), "one of the two"})
	}
}

// dns checks what is to be in the pod's resolv.conf.
func (c *checker) dns(s *corev1.PodSpec, at *field.Path) {
	oneOf(c, at.Child("dnsPolicy"), s.DNSPolicy,
		corev1.DNSClusterFirst, corev1.DNSClusterFirstWithHostNet, corev1.DNSDefault, corev1.DNSNone)
	config := at.Child("dnsConfig")
	if s.DNSPolicy == corev1.DNSNone && (s.DNSConfig == nil || len(s.DNSConfig.Nameservers) == 0) {
		c.refuse(config.Child("nameservers"), pod.ReasonRequired, finding{
			message: "is required with dnsPolicy None", want: "the address of at least one name server"})
	}
	if s.DNSConfig == nil {
		return
	}
	c.atMost(config.Child("nameservers"), len(s.DNSConfig.Nameservers), maxNameservers)
	for i, server := range s.DNSConfig.Nameservers {
		c.ipAddress(config.Child("nameservers").Index(i), pod.ReasonInvalid, server)
	}
	c.searches(s.DNSConfig.Searches, config.Child("searches"))
	for i, o := range s.DNSConfig.Options {
		c.dnsOption(o, config.Child("options").Index(i))
	}
}

func (c *checker) searches(searches []string, at *field.Path) {
	c.atMost(at, len(searches), maxSearches)
	if n := len(strings.Join(searches, " ")); n > searchesBytes {
		c.refuse(at, pod.ReasonLimit, finding{
			"are too long together", fmt.Sprintf("%d characters", n), fmt.Sprintf("at most %d, blanks between them included", searchesBytes)})
	}
	for i, search := range searches {
		// A dot alone is the root; one at the end changes nothing.
		name := strings.TrimSuffix(search, ".")
		if search != "." {
			c.refuseAll(at.Index(i), pod.ReasonInvalidName, search, validation.IsDNS1123SubdomainWithUnderscore(name))
		}
	}
}

// dnsOption refuses what would be more than one word of resolv.conf.
func (c *checker) dnsOption(o corev1.PodDNSConfigOption, at *field.Path) {
	if o.Name == "" {
		c.refuse(at.Child("name"), pod.ReasonRequired, finding{message: "is required", want: "an option of resolv.conf, such as ndots"})
	}
	words := []struct{ name, value string }{{"name", o.Name}}
	if o.Value != nil {
		words = append(words, struct{ name, value string }{"value", *o.Value})
	}
	for _, w := range words {
		if strings.ContainsFunc(w.value, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' || r == ';' }) {
			c.refuse(at.Child(w.name), pod.ReasonInvalid, finding{"is not one word of resolv.conf", quote(w.value), "no blanks, line breaks, # or ;"})
		}
	}
}

func (c *checker) atMost(at *field.Path, n, most int) {
	if n > most {
		c.refuse(at, pod.ReasonLimit, finding{"has too many entries", itoa(n), "at most " + itoa(most)})
	}
}

func (c *checker) ipAddress(at *field.Path, reason pod.Reason, ip string) {
	for _, e := range validation.IsValidIP(at, ip) {
		c.refuse(at, reason, finding{e.Detail, quote(ip), "an IPv4 or IPv6 address"})
	}
}
