package validation

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// capabilityNames returns what capabilities(7) lists, in the order of their
// numbers.
func capabilityNames() []string {
	return strings.Fields(`
		CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID
		SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN
		NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
		SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
		SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
		MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
		PERFMON BPF CHECKPOINT_RESTORE`)
}

// Capability returns the name by which Kubernetes knows a capability (capital
// letters, no CAP_), or ALL, and whether there is one of that name. Case and
// CAP_ make no difference.
func Capability(name string) (canonical string, known bool) {
	canonical = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	if canonical == "ALL" {
		// There is no CAP_ALL: what drops it would drop nothing.
		return canonical, strings.EqualFold(name, "ALL")
	}
	return canonical, slices.Contains(capabilityNames(), canonical)
}

func (c *checker) capabilities(k *corev1.Capabilities, at *field.Path) {
	if k == nil {
		return
	}
	c.capabilityList(k.Add, at.Child("add"))
	c.capabilityList(k.Drop, at.Child("drop"))
}

func (c *checker) capabilityList(list []corev1.Capability, at *field.Path) {
	for i, name := range list {
		canonical, known := Capability(string(name))
		switch {
		case !known:
			c.refuse(at.Index(i), pod.ReasonInvalid, finding{
				"is an unknown capability", quote(string(name)), "ALL or a name from capabilities(7), such as NET_ADMIN"})
		case canonical != string(name):
			c.warn(at.Index(i), pod.ReasonInvalid, finding{"is read as " + canonical, quote(string(name)), canonical})
		}
	}
}

// grants tells whether a list holds a capability, however it is written.
func grants(list []corev1.Capability, want string) bool {
	return slices.ContainsFunc(list, func(name corev1.Capability) bool {
		canonical, known := Capability(string(name))
		return known && canonical == want
	})
}
