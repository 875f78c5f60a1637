package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// NetworkConfig is all that the host's network is to do for pods, whole: what
// is not in it is taken away.
type NetworkConfig struct {
	// Pods are the pods with a network of their own, sorted by key, then
	// instance.
	Pods []PodNetwork
	// Services are sorted by key.
	Services []Service
}

// PodNetwork is what the host's network does for one instance of a pod.
type PodNetwork struct {
	UID      types.UID
	Instance Instance
	// IPs are the pod's addresses, at most one of each family, IPv4 first.
	IPs []string
	// Ports are the ports of the host that lead to the pod.
	Ports []PortMapping
}

// PortMapping is a port of the host that leads to a port of a pod.
type PortMapping struct {
	// HostIP is the address of the host that the port is open on; empty for
	// all of them, of both families.
	HostIP        string
	HostPort      int32
	ContainerPort int32
	// Protocol is TCP, UDP or SCTP.
	Protocol corev1.Protocol
}

// Listener is a process of the host that holds a port.
type Listener struct {
	HostPort
	// PID and Name are the process, 0 and "" where it can't be told.
	PID  int
	Name string
	// UID is the pod that the process belongs to, by its cgroup; empty for
	// processes that are in no pod of ours.
	UID types.UID
}
