package spec

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// AppArmorDefault is the profile of containers that ask for RuntimeDefault
// or for nothing, on hosts with AppArmor. Whoever fills in Host loads it.
const AppArmorDefault = "podstead-default"

// apparmor returns the name of the profile, empty for none. As with seccomp,
// what is asked for and can't be had is refused.
func (b *builder) apparmor() (string, error) {
	const field = "securityContext.appArmorProfile"
	profile := b.sc.AppArmorProfile
	if b.privileged || profile != nil && profile.Type == corev1.AppArmorProfileTypeUnconfined {
		return "", nil
	}
	if !b.in.Host.AppArmor {
		if profile == nil {
			return "", nil
		}
		return "", b.refuse(reasonConfig, field, "got type %s, but this host has no AppArmor", profile.Type)
	}
	name := AppArmorDefault
	if profile != nil && profile.Type == corev1.AppArmorProfileTypeLocalhost {
		if profile.LocalhostProfile == nil || *profile.LocalhostProfile == "" {
			return "", b.refuse(reasonConfig, field+".localhostProfile", "type Localhost needs the name of a profile")
		}
		name = *profile.LocalhostProfile
	}
	if !slices.Contains(b.in.Host.AppArmorProfiles, name) {
		return "", b.refuse(reasonConfig, field, "profile %s is not loaded on this host", quote(name))
	}
	return name, nil
}
