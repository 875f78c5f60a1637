package pod

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// StartRequest asks the runtime for one run of a container. The same request
// may be made again at any time: ID is planned, and what is there already is
// found and finished, never doubled.
type StartRequest struct {
	ID       string
	Instance Instance
	UID      types.UID
	Name     string
	Role     Role
	Attempt  int
	Failures int
	// Pod is the wanted pod, recorded with the container.
	Pod    *corev1.Pod
	Origin Origin
	// Image to run; zero for pause containers.
	Image   Image
	Sandbox Sandbox
	// PausePID is the process whose PID namespace is joined; 0 for none.
	PausePID int
	Mounts   []Mount
	// CgroupPath is where the container's cgroup goes, relative to each
	// hierarchy, absolute in form: /podstead/burstable/podUID/ID.
	CgroupPath string
	Resources  *specs.LinuxResources
	// OOMScoreAdj by the Kubernetes formula.
	OOMScoreAdj int
	Node        Node
}
