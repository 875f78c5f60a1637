package spec

import (
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/pkg/cap"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// defaultCapabilities is what a container has that asks for nothing:
// containerd's fourteen without NET_RAW (forged packets), MKNOD (device
// nodes) and AUDIT_WRITE (forged audit records).
func defaultCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
		"CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
		"CAP_SETUID", "CAP_SYS_CHROOT",
	}
}

// capabilities returns what the container has, in the kernel's order. ALL is
// applied before single names, and drop after add, as container runtimes do:
// "drop ALL, add NET_ADMIN" leaves NET_ADMIN.
func (b *builder) capabilities() ([]string, error) {
	if b.privileged {
		return ordered(b.allCapabilities()), nil
	}
	want := b.sc.Capabilities
	if want == nil {
		return ordered(defaultCapabilities()), nil
	}
	add, addAll, err := b.capabilityNames("securityContext.capabilities.add", want.Add)
	if err != nil {
		return nil, err
	}
	drop, dropAll, err := b.capabilityNames("securityContext.capabilities.drop", want.Drop)
	if err != nil {
		return nil, err
	}
	caps := defaultCapabilities()
	if addAll {
		caps = b.allCapabilities()
	}
	if dropAll {
		caps = nil
	}
	caps = append(caps, add...)
	caps = slices.DeleteFunc(caps, func(c string) bool { return slices.Contains(drop, c) })
	return ordered(caps), nil
}

func (b *builder) allCapabilities() []string {
	if len(b.in.Host.Capabilities) > 0 {
		return slices.Clone(b.in.Host.Capabilities)
	}
	return slices.Clone(cap.Known())
}

// capabilityNames brings sys_admin and CAP_SYS_ADMIN to one form.
func (b *builder) capabilityNames(field string, list []corev1.Capability) (names []string, all bool, err error) {
	for _, c := range list {
		name := strings.ToUpper(string(c))
		if name == "ALL" {
			all = true
			continue
		}
		name = "CAP_" + strings.TrimPrefix(name, "CAP_")
		if !slices.Contains(cap.Known(), name) {
			return nil, false, b.refuse(reasonCreate, field, "unknown capability %s", quote(string(c)))
		}
		names = append(names, name)
	}
	return names, all, nil
}

// ordered sorts by number and drops doubles.
func ordered(caps []string) []string {
	out := make([]string, 0, len(caps))
	for _, c := range cap.Known() {
		if slices.Contains(caps, c) {
			out = append(out, c)
		}
	}
	return out
}

// capabilitySets leaves inheritable and ambient sets empty: a user other
// than root has no capability until a program with file capabilities or a
// set-user-id bit gives it one.
func capabilitySets(caps []string) *specs.LinuxCapabilities {
	return &specs.LinuxCapabilities{
		Bounding:  caps,
		Effective: slices.Clone(caps),
		Permitted: slices.Clone(caps),
	}
}
