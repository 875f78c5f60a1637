package spec

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podstead/podstead/pod"
)

// pauseID is the user and group that pause processes run as; it is nobody
// else's.
const pauseID = 65535

func isPause(r pod.StartRequest) bool { return r.Role == pod.RolePause }

// pause is the spec of the process that holds a pod's PID namespace. It needs
// nothing but its own program, so it may do nothing else.
func pause(in Input) (*specs.Spec, error) {
	r := in.Request
	if r.Pod.Spec.HostPID {
		return nil, fmt.Errorf("build spec of %q in %s: the pod has the host's processes and needs no pause", r.Name, r.Instance)
	}
	in.Request.PausePID = 0
	ns, err := namespaces(in, false)
	if err != nil {
		return nil, err
	}
	process := &specs.Process{
		User:            specs.User{UID: pauseID, GID: pauseID, AdditionalGids: []uint32{pauseID}},
		Args:            []string{PausePath},
		Env:             []string{"PATH=/"},
		Cwd:             "/",
		Capabilities:    &specs.LinuxCapabilities{},
		NoNewPrivileges: true,
		OOMScoreAdj:     oomScoreAdj(in),
	}
	if in.Host.AppArmor {
		process.ApparmorProfile = AppArmorDefault
	}
	s := &specs.Spec{
		Version:     specs.Version,
		Process:     process,
		Root:        &specs.Root{Path: rootPath(in), Readonly: true},
		Mounts:      []specs.Mount{procMount(), devMount("ro")},
		Annotations: annotations(in),
		Linux: &specs.Linux{
			Namespaces:    ns,
			CgroupsPath:   r.CgroupPath,
			Resources:     resources(r.Resources, false),
			MaskedPaths:   maskedPaths(in.Host.CPUs),
			ReadonlyPaths: readonlyPaths(),
		},
	}
	if in.Host.Seccomp {
		s.Linux.Seccomp = defaultSeccomp(process)
	}
	return s, nil
}
