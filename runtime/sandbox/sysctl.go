package sandbox

import (
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// The one setting of an IPC namespace that a pod may have; those of networks
// are set with the network.
const (
	shmRmidForced     = "kernel.shm_rmid_forced"
	shmRmidForcedFile = "/proc/sys/kernel/shm_rmid_forced"
)

// setIPCSysctls sets what a pod asks for in the thread's own IPC namespace.
func setIPCSysctls(p *corev1.Pod) error {
	if p.Spec.SecurityContext == nil {
		return nil
	}
	for i, s := range p.Spec.SecurityContext.Sysctls {
		if pod.SysctlName(s.Name) != shmRmidForced {
			continue
		}
		if err := os.WriteFile(shmRmidForcedFile, []byte(s.Value), 0); err != nil {
			return &pod.Refused{Reason: "SysctlForbidden", Message: fmt.Sprintf(
				"pod %s/%s: spec.securityContext.sysctls[%d]: the kernel does not take %q for %s: %v; the pod does not start",
				p.Namespace, p.Name, i, s.Value, s.Name, err)}
		}
	}
	return nil
}
