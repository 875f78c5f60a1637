package validation

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// safeSysctls are those that Kubernetes calls safe: they belong to a
// namespace of the pod, and can harm neither the node nor other pods.
var safeSysctls = []string{
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_notsent_lowat",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_slow_start_after_idle",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.tcp_wmem",
}

func (c *checker) sysctls(list []corev1.Sysctl, at *field.Path) {
	seen := map[string]*field.Path{}
	for i, s := range list {
		here := at.Index(i)
		name := pod.SysctlName(s.Name)
		if first, twice := seen[name]; twice {
			c.refuse(here.Child("name"), pod.ReasonDuplicate, finding{
				"is set by " + first.String() + " already", quote(s.Name), "each setting once"})
			continue
		}
		seen[name] = here
		c.sysctlName(name, s.Name, here.Child("name"))
		c.sysctlValue(name, s.Value, here.Child("value"))
	}
}

func (c *checker) sysctlName(name, written string, at *field.Path) {
	s := &c.pod.Spec
	switch {
	case name == "":
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: anyOf(safeSysctls)})
	case !slices.Contains(safeSysctls, name):
		c.refuse(at, pod.ReasonInvalid, finding{
			"is not among the settings that are safe (SysctlForbidden): it could change the server or other pods", quote(written), anyOf(safeSysctls)})
	case s.HostNetwork && strings.HasPrefix(name, "net."):
		c.refuse(at, pod.ReasonInvalid, finding{
			"would change the server's network, which the pod uses (SysctlForbidden)", quote(written), "the setting left out, or no hostNetwork"})
	case s.HostIPC && strings.HasPrefix(name, "kernel."):
		c.refuse(at, pod.ReasonInvalid, finding{
			"would change the server's IPC, which the pod uses (SysctlForbidden)", quote(written), "the setting left out, or no hostIPC"})
	}
}

// sysctlValue refuses what no setting takes; the kernel judges the rest.
func (c *checker) sysctlValue(name, value string, at *field.Path) {
	switch {
	case strings.TrimSpace(value) == "":
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: "a value for " + quote(name)})
	case strings.ContainsFunc(value, func(r rune) bool { return isControl(r) && r != '\t' }):
		c.refuse(at, pod.ReasonInvalid, finding{"has a control character", quote(value), "one line"})
	case name == "kernel.shm_rmid_forced" && value != "0" && value != "1":
		c.refuse(at, pod.ReasonInvalid, finding{"is not a known value", quote(value), "0 or 1"})
	}
}
