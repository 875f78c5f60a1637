package spec

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// namespaces returns those that the container has apart from the host: a
// mount namespace of its own always, and the pod's. A kind that is left out
// is the host's, so it is left out only where the pod asks for that; a
// sandbox that lacks one is an error. The host name is set once in the pod's
// UTS namespace, not by each spec, which would write it again.
func namespaces(in Input, privileged bool) ([]specs.LinuxNamespace, error) {
	r := in.Request
	ns := []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	pod := r.Pod.Spec
	for _, shared := range []struct {
		kind specs.LinuxNamespaceType
		path string
		host bool
	}{
		{specs.NetworkNamespace, r.Sandbox.NetNS, pod.HostNetwork},
		{specs.IPCNamespace, r.Sandbox.IPCNS, pod.HostIPC},
		{specs.UTSNamespace, r.Sandbox.UTSNS, pod.HostNetwork},
	} {
		if shared.host {
			continue
		}
		if shared.path == "" {
			return nil, fmt.Errorf("build spec of %q in %s: its sandbox %q has no %s namespace", r.Name, r.Instance, r.Sandbox.ID, shared.kind)
		}
		ns = append(ns, specs.LinuxNamespace{Type: shared.kind, Path: shared.path})
	}
	pid, err := pidNamespace(in)
	if err != nil {
		return nil, err
	}
	ns = append(ns, pid...)
	// A privileged container sees the host's cgroups, as it does under other
	// runtimes; on version 1 there is no view that could be narrowed.
	if in.Host.CgroupV2 && !privileged {
		ns = append(ns, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	return ns, nil
}

func pidNamespace(in Input) ([]specs.LinuxNamespace, error) {
	r := in.Request
	switch {
	case r.Pod.Spec.HostPID:
		return nil, nil
	case r.PausePID > 0:
		return []specs.LinuxNamespace{{Type: specs.PIDNamespace, Path: fmt.Sprintf("/proc/%d/ns/pid", r.PausePID)}}, nil
	case isTrue(r.Pod.Spec.ShareProcessNamespace) && !isPause(r):
		return nil, fmt.Errorf("build spec of %q in %s: the pod shares processes, but no pause process runs", r.Name, r.Instance)
	default:
		return []specs.LinuxNamespace{{Type: specs.PIDNamespace}}, nil
	}
}
