package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

const seccompField = "securityContext.seccompProfile"

// SeccompFile returns the profile that a container wants from this host, as
// a path relative to the folder of profiles, to be read into
// Input.SeccompProfile. ok is false when it wants none, or one that Build
// refuses whatever it contains.
func SeccompFile(p *corev1.Pod, container string) (path string, ok bool) {
	c := pod.ContainerSpec(p, container)
	if c == nil {
		return "", false
	}
	profile := effective(p, c).SeccompProfile
	if profile == nil || profile.Type != corev1.SeccompProfileTypeLocalhost || profile.LocalhostProfile == nil {
		return "", false
	}
	return *profile.LocalhostProfile, filepath.IsLocal(*profile.LocalhostProfile)
}

// seccomp returns the filter of the process. A profile that is asked for and
// can't be had keeps the container from starting; only where none is asked
// for and the host has no seccomp, it goes without.
func (b *builder) seccomp(process *specs.Process) (*specs.LinuxSeccomp, error) {
	profile := b.sc.SeccompProfile
	if b.privileged || profile != nil && profile.Type == corev1.SeccompProfileTypeUnconfined {
		return nil, nil
	}
	if !b.in.Host.Seccomp {
		if profile == nil {
			return nil, nil
		}
		return nil, b.refuse(reasonConfig, seccompField, "got type %s, but this host has no seccomp", profile.Type)
	}
	if profile == nil {
		return defaultSeccomp(process), nil
	}
	switch profile.Type {
	case corev1.SeccompProfileTypeRuntimeDefault:
		return defaultSeccomp(process), nil
	case corev1.SeccompProfileTypeLocalhost:
		return b.localhostSeccomp(profile)
	default:
		return nil, b.refuse(reasonConfig, seccompField+".type", "got %s, want RuntimeDefault, Localhost or Unconfined", quote(string(profile.Type)))
	}
}

// defaultSeccomp opens system calls by the capabilities of the process.
func defaultSeccomp(process *specs.Process) *specs.LinuxSeccomp {
	return seccomp.DefaultProfile(&specs.Spec{Process: process})
}

func (b *builder) localhostSeccomp(profile *corev1.SeccompProfile) (*specs.LinuxSeccomp, error) {
	field := seccompField + ".localhostProfile"
	path := profile.LocalhostProfile
	if path == nil || *path == "" {
		return nil, b.refuse(reasonConfig, field, "type Localhost needs the path of a profile")
	}
	if !filepath.IsLocal(*path) {
		return nil, b.refuse(reasonConfig, field, "got %s, want a path below the folder of profiles", quote(*path))
	}
	filter, err := parseSeccomp(b.in.SeccompProfile)
	if err != nil {
		return nil, b.refuse(reasonConfig, field, "profile %s: %v", quote(*path), err)
	}
	return filter, nil
}

// parseSeccomp reads a profile of the OCI runtime specification. It fails on
// what it does not know: a condition that is skipped would let calls through
// that the profile's author wanted to stop.
func parseSeccomp(data []byte) (*specs.LinuxSeccomp, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("missing or empty")
	}
	var filter specs.LinuxSeccomp
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&filter); err != nil {
		return nil, fmt.Errorf("not a seccomp profile of the OCI runtime specification: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("not a seccomp profile of the OCI runtime specification: it goes on after the first object")
	}
	if !slices.Contains(seccompActions(), filter.DefaultAction) {
		return nil, fmt.Errorf("defaultAction: got %q, want one of %v", filter.DefaultAction, seccompActions())
	}
	for i, call := range filter.Syscalls {
		if !slices.Contains(seccompActions(), call.Action) {
			return nil, fmt.Errorf("syscalls[%d].action: got %q, want one of %v", i, call.Action, seccompActions())
		}
	}
	return &filter, nil
}

func seccompActions() []specs.LinuxSeccompAction {
	return []specs.LinuxSeccompAction{
		specs.ActAllow, specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActKillThread,
		specs.ActLog, specs.ActNotify, specs.ActTrace, specs.ActTrap,
	}
}
